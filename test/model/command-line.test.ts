/**
 * Tests the description of a command line: the program and its script, without further arguments, which may be secret.
 */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {programAndScript} from '../../src/model/command-line.js';
import {parseRecord} from '../../src/model/record.js';
import {checkLeaks} from '../helpers/leaks.js';
import {indexUrl} from '../helpers/library.js';
import {start, startCommand, temporaryDirectory} from '../helpers/programs.js';

checkLeaks();

/** `|` separates the arguments. */
const told: Readonly<Record<string, string>> = {
	'node|/app/server.js|--db-password=hunter2': 'node /app/server.js',
	'node|server.mjs|hunter2': 'node server.mjs',
	'/usr/local/bin/node|bin/www|hunter2': '/usr/local/bin/node bin/www',
	'/opt/renamed|server.js|hunter2': '/opt/renamed server.js',
	'node|--enable-source-maps|--inspect=1|server.js|other.js': 'node server.js',
	'node|--import|./hook.mjs|-r|hook.cjs|--|server.ts': 'node server.ts',
	'node|--import=file:///hook.mjs|server.js': 'node server.js',
	'python3.12|-u|-W|ignore|app.py|hunter2.py': 'python3.12 app.py',
	'/bin/sh|-e|/etc/init.d/x.sh|start': '/bin/sh /etc/init.d/x.sh',
	'java|-Xmx1g|-Dpassword=hunter2|-jar|app.jar|hunter2': 'java app.jar',
	'deno|run|--allow-net|main.ts': 'deno main.ts',
	'bun|--preload|bindlock/register|main.ts': 'bun main.ts',
	// Code, and its arguments.
	'node|-e|require("x")|hunter2.js': 'node',
	'node|hunter2': 'node',
	'sh|-c|curl -u hunter2 http://x/y.sh|x.sh': 'sh',
	'python|-c|import hunter2|x.py': 'python',
	'perl|-ne|s/a/hunter2/|x.pl': 'perl',
	'node|-|x.js': 'node',
	// URLs, assignments, values of options, subcommands.
	'node|https://hunter2@x/y.js': 'node',
	'node|/x?token=hunter2': 'node',
	'node|/a b.js': 'node',
	'python3|-m|http.server|hunter2.py': 'python3',
	'java|-cp|hunter2.jar|Main': 'java',
	'server|--config|hunter2.js': 'server',
	'server|/etc/hunter2': 'server',
	'server|aGFj/a2Vy': 'server',
	'env|password=hunter2.sh|server.js': 'env',
	'sleep|300': 'sleep',
	// Titles.
	'nginx: master process /usr/sbin/nginx -g daemon off;': 'nginx: master process /usr/sbin/nginx -g daemon off;',
	'postgres: app app 10.0.0.1(1234) idle': 'postgres: app app 10.0.0.1(1234) idle',
	'': '',
};

for (const [argv, text] of Object.entries(told)) {
	test.serial(`${JSON.stringify(argv)} is described as ${JSON.stringify(text)}`, t => {
		t.is(programAndScript(argv.split('|')), text);
	});
}

test.serial('all known file name extensions of scripts count, and no others', t => {
	const known = 'js mjs cjs ts mts cts jsx tsx py rb pl php sh lua jar ex exs';
	for (const ending of known.split(' ')) t.is(programAndScript(['x', `s.${ending}`]), `x s.${ending}`);
	for (const ending of ['json', 'key', 'pem', 'js2', 'JS']) t.is(programAndScript(['x', `s.${ending}`]), 'x', ending);
});

test.serial('a long text is cut, but not inside a character', t => {
	const text = programAndScript([`x${'🔒'.repeat(300)}`]);
	t.is(text.length, 500);
	t.true(text.isWellFormed());
});

test.serial('the record of a holder and the error of a refusal have the same command', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const holder = start(t, 'holder', ['acquire', address, '{}', '--db-password=hunter2', 'hunter2.js']);
	await holder.expect('held');
	const content = readFileSync(`${address}.lock`, 'utf8');
	t.false(content.includes('hunter2'), content);
	t.regex(commandIn(content), /^\S+ \S+\/holder\.js$/);
	const refused = await start(t, 'holder', ['acquire', address]).expect('refused');
	t.false(JSON.stringify(refused).includes('hunter2'), JSON.stringify(refused));
	const {command} = refused['holder'] as {command: string};
	t.is(command.split(' ')[1], commandIn(content).split(' ')[1]);
});

test.serial('the record of code on the command line has none of its arguments', async t => {
	const address = join(temporaryDirectory(t), 's');
	const module = JSON.stringify(indexUrl);
	const code = `const {acquire} = await import(${module});
		await acquire(process.argv[2]); console.log('on'); process.stdin.resume()`;
	const program = startCommand(t, process.execPath, ['--input-type=module', '-e', code, 'hunter2', address]);
	await program.expect('line');
	t.false(commandIn(readFileSync(`${address}.lock`, 'utf8')).includes('hunter2'));
});

function commandIn(content: string): string {
	const record = parseRecord(content);
	return (record !== 'foreign' && record?.command) || '';
}

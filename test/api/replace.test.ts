/**
 * Tests `replace`: only a verified holder is signalled.
 */
import {once} from 'node:events';
import {chmodSync, readFileSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire, type Holder} from '../../src/index.js';
import {noOtherUser, noPidNamespaces, noPython, otherUid, python, testUnless} from '../helpers/abilities.js';
import {getText} from '../helpers/http.js';
import {start, startCommand, temporaryDirectory} from '../helpers/programs.js';

const kinds: Readonly<Record<string, (t: ExecutionContext) => {native: string; argument: string}>> = {
	pathname(t) {
		const path = join(temporaryDirectory(t), 's');
		return {native: path, argument: path};
	},
	abstract(t) {
		const path = join(temporaryDirectory(t), 's');
		return {native: `\0${path}`, argument: `unix:@${path}`};
	},
};

for (const [kind, addressOf] of Object.entries(kinds)) {
	test(`${kind}: the old server drains its requests while its successor already serves`, async t => {
		const {native, argument} = addressOf(t);
		const old = start(t, 'server', [argument]);
		await old.expect('held');
		const inFlight = getText(native, '/slow');
		await old.expect('asked');

		const successor = start(t, 'server', [argument, '{"replace":{"timeoutMs":10000}}']);
		t.is((await successor.expect('held'))['reclaimed'], false);
		await old.expect('terminated');
		t.is(await getText(native, '/'), `${successor.pid}`);

		old.send('answer');
		t.is(await inFlight, `${old.pid}`);
		t.is((await old.exited).code, 0);
		t.is(await getText(native, '/'), `${successor.pid}`);
	});

	test(`${kind}: a holder that does not exit is EADDRINUSE after the time limit, and still serves`, async t => {
		const {native, argument} = addressOf(t);
		const old = start(t, 'server', [argument, '{}', 'stubborn']);
		await old.expect('held');
		const refused = await start(t, 'server', [argument, '{"replace":{"timeoutMs":150}}']).expect('refused');
		t.like(refused, {code: 'EADDRINUSE', holder: {pid: old.pid, verified: true}});
		t.true((refused['waitedMs'] as number) >= 150);
		await old.expect('terminated');
		t.is(await getText(native, '/'), `${old.pid}`);
	});

	test(`${kind}: with a time limit of 0 the holder is signalled, without a wait`, async t => {
		const {argument} = addressOf(t);
		for (const options of ['{"replace":{"timeoutMs":0}}', '{"waitMs":0,"replace":{}}']) {
			const old = start(t, 'server', [argument, '{}', 'stubborn']);
			await old.expect('held');
			const refused = await start(t, 'server', [argument, options]).expect('refused');
			t.like(refused, {code: 'EADDRINUSE', holder: {pid: old.pid}}, options);
			await old.expect('terminated');
			await old.kill();
		}
	});

	testUnless(noPidNamespaces())(`${kind}: a holder in another pid namespace is not signalled`, async t => {
		const {argument} = addressOf(t);
		const old = start(t, 'server', [argument, '{}', 'stubborn']);
		await old.expect('held');
		// /proc is mounted from outside, so its pids are not the pids that kill(2) uses here.
		const before = ['unshare', '--pid', '--fork'];
		const refused = await start(t, 'server', [argument, '{"replace":{}}'], {before}).expect('refused');
		t.like(refused, {code: 'ERR_HOLDER_UNVERIFIED', holder: {pid: old.pid, verified: false}});
	});

	test(`${kind}: with escalate the holder is killed`, async t => {
		const {native, argument} = addressOf(t);
		const old = start(t, 'server', [argument, '{}', 'stubborn']);
		await old.expect('held');
		const successor = start(t, 'server', [argument, '{"replace":{"timeoutMs":150,"escalate":true}}']);
		t.is((await successor.expect('held'))['reclaimed'], kind === 'pathname');
		t.is((await old.exited).signal, 'SIGKILL');
		t.is(await getText(native, '/'), `${successor.pid}`);
	});

	test(`${kind}: killSignal selects the signal, and a free address needs none`, async t => {
		const {argument} = addressOf(t);
		const old = start(t, 'server', [argument, '{"replace":{"killSignal":"SIGINT"}}']);
		await old.expect('held');
		const successor = start(t, 'server', [argument, '{"replace":{"killSignal":"SIGINT"}}']);
		await successor.expect('held');
		t.is((await old.exited).signal, 'SIGINT');
	});

	test(`${kind}: a process does not signal itself`, async t => {
		const {native} = addressOf(t);
		await using _held = await acquire(native);
		await t.throwsAsync(acquire(native, {replace: {}}), {code: 'ERR_HOLDER_SELF'});
	});

	testUnless(noOtherUser())(
		`${kind}: a holder of another user is refused with EPERM or as unverified, and is not signalled`,
		async t => {
			const {argument} = addressOf(t);
			const options = '{"lockFileMode":438}';
			const old = start(t, 'server', [argument, options]);
			await old.expect('held');
			if (kind === 'pathname') {
				chmodSync(`${argument}.lock`, 0o666);
				chmodSync(join(argument, '..'), 0o777);
			}
			const refused = await start(t, 'server', [argument, '{"replace":{}}'], {uid: otherUid}).expect('refused');
			t.true(['EPERM', 'ERR_HOLDER_UNVERIFIED'].includes(refused['code'] as string), JSON.stringify(refused));
			t.is(refused['syscall'], 'kill');
			await t.throwsAsync(acquire(kind === 'pathname' ? argument : argument.replace('unix:@', '\0')), {
				code: 'EADDRINUSE',
			});
		},
	);
}

testUnless(noOtherUser())('a holder that its own user may not inspect is signalled by root only', async t => {
	const {native} = kinds['pathname']?.(t) ?? {native: ''};
	chmodSync(join(native, '..'), 0o777);
	// After setuid(2) the process is not dumpable, so only root can read its descriptors.
	const holder = start(t, 'holder', ['acquire', native], {env: {OTHER_UID: String(otherUid)}});
	await holder.expect('held');
	chmodSync(`${native}.lock`, 0o666);
	holder.send('setuid');
	await holder.expect('setuid');
	const refused = await start(t, 'holder', ['acquire', native, '{"replace":{}}'], {uid: otherUid}).expect('refused');
	t.like(refused, {code: 'ERR_HOLDER_UNVERIFIED', holder: {pid: holder.pid, verified: false}});
	await using _lock = await acquire(native, {replace: {timeoutMs: 10_000}});
	t.is((await holder.exited).signal, 'SIGTERM');
});

testUnless(noOtherUser(), noPython())(
	'a process that took the lock but no longer has it is not signalled, whatever the record says',
	async t => {
		const {native} = kinds['pathname']?.(t) ?? {native: ''};
		chmodSync(join(native, '..'), 0o777);
		// Simulates a reused pid: a process that never had the lock has the pid of the process that took it.
		const script = `
import fcntl, os, sys
lock = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR, 0o666)
os.fchmod(lock, 0o666)
ready, tell = os.pipe()
taker = os.fork()
if taker == 0:
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.close(lock)
    os.setuid(int(sys.argv[2]))
    os.write(tell, b'x')
    sys.stdin.read()
    os._exit(0)
os.read(ready, 1)
os.pwrite(lock, b'%d\\n{"bindlock":1,"pid":%d,"uid":%s}\\n' % (taker, taker, sys.argv[2].encode()), 0)
print(taker, flush=True)
print('ended by', os.waitstatus_to_exitcode(os.waitpid(taker, 0)[1]), flush=True)
`;
		const program = startCommand(t, python, ['-c', script, `${native}.lock`, String(otherUid)]);
		const taker = Number((await program.expect('line'))['line']);
		t.regex(readFileSync('/proc/locks', 'utf8'), new RegExp(`FLOCK +ADVISORY +WRITE ${taker} `));
		const options = '{"replace":{"killSignal":"SIGKILL","timeoutMs":100}}';
		const refused = await start(t, 'holder', ['acquire', native, options], {uid: otherUid}).expect('refused');
		t.like(refused, {code: 'ERR_HOLDER_UNVERIFIED', holder: {pid: taker, verified: false}});
		program.end();
		t.is((await program.expect('line'))['line'], 'ended by 0');
	},
);

test('a foreign server on the lock name of an abstract address is not signalled', async t => {
	const {native} = kinds['abstract']?.(t) ?? {native: ''};
	const squatter = createServer(socket => socket.on('error', () => {}).end('hello\n'));
	squatter.listen(`${native}.lock`.padEnd(108, '\0'));
	await once(squatter, 'listening');
	await t.throwsAsync(acquire(native, {replace: {}}), {
		code: 'ERR_HOLDER_UNVERIFIED',
		message: /bound, not by bindlock/,
	});
	squatter.close();
});

test('the kernel, and not the record, decides which process is signalled', async t => {
	const {native} = kinds['pathname']?.(t) ?? {native: ''};
	const bystander = start(t, 'waiter', [join(temporaryDirectory(t), 'elsewhere')]);
	await bystander.expect('held');
	const holder = start(t, 'waiter', [native]);
	await holder.expect('held');
	writeFileSync(`${native}.lock`, `${bystander.pid}\n`);
	await using _lock = await acquire(native, {replace: {timeoutMs: 10_000}});
	t.is((await holder.exited).signal, 'SIGTERM');
	bystander.send('release');
	t.is((await bystander.next()).event, 'released');
});

test('an unverified holder is never signalled', async t => {
	const {takePathname} = await import('../../src/protocol/pathname.js');
	const {NodeSystem} = await import('../../src/kernel/node-system.js');
	const {run} = await import('../../src/model/driver.js');
	const {claim, pathname} = await import('../helpers/protocol.js');
	const {native} = kinds['pathname']?.(t) ?? {native: ''};
	await using _held = await acquire(native);
	const bystander = start(t, 'waiter', [join(temporaryDirectory(t), 'elsewhere')]);
	await bystander.expect('held');
	/** Simulates another pid namespace: the record has a pid, and the kernel shows no holder. */
	class Blind extends NodeSystem {
		override contention(): {
			kind: 'exclusive';
			holder: Holder;
		} {
			return {
				kind: 'exclusive',
				holder: {pid: bystander.pid, uid: 0, command: undefined, since: undefined, verified: false},
			};
		}
	}
	const patience = {
		began: performance.now(),
		waitMs: 1000,
		onWait: undefined,
		replace: {killSignal: 'SIGKILL' as const, escalate: true},
	};
	const taking = async (): Promise<unknown> =>
		run(takePathname(pathname(native), {...claim, patience}), new Blind(native));
	await t.throwsAsync(taking, {code: 'ERR_HOLDER_UNVERIFIED'});
	bystander.send('release');
	t.is((await bystander.next()).event, 'released');
});

/**
 * Tests the files of bound sockets in the output of ss(8).
 */
import {join} from 'node:path';
import {acquire} from '../../../src/index.js';
import {mountOfFile} from '../../../src/kernel/mounts/mount-table.js';
import {noPython, python, testUnless} from '../../helpers/abilities.js';
import {makeStale} from '../../helpers/detectors.js';
import {boundAt, fileStatusOf} from '../../helpers/kernel.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {startCommand, temporaryDirectory} from '../../helpers/programs.js';

checkLeaks();

testUnless(noPython())('a name that looks like a row of ss, with or without a newline, does not count', async t => {
	const directory = temporaryDirectory(t);
	const dead = join(directory, 'forged');
	await makeStale(dead);
	const {ino} = fileStatusOf(dead);
	const device = mountOfFile(dead)?.device.split(':').map(Number) ?? [];
	const [major = 0, minor = 0] = device;
	// As ss prints it: the reverse of kernelDevice in ss.ts.
	const raw = major * 2 ** 20 + minor;
	const printed = `${(raw >> 8) & 0xfff}/${((raw & 0xff) | ((raw >> 12) & 0xfff00)) >>> 0}`;
	const script = `import os, socket, sys
ino, dev, path = sys.argv[1:]
keep = []
for begin in ['x ', 'x\\nu_str LISTEN 0 1 y ']:
  for own in [True, False]:
    s = socket.socket(socket.AF_UNIX)
    number = os.fstat(s.fileno()).st_ino if own else 987654321
    s.bind('\\0' + f'{begin}{number} * 0 <-> ino:{ino} dev:{dev} {path[-40:]}'[:100])
    keep.append(s)
print('up', flush=True)
sys.stdin.read()`;
	const forger = startCommand(t, python, ['-c', script, String(ino), printed, '/forged']);
	await forger.expect('line');
	t.not((await boundAt(dead))?.isCertain, true);
	const lock = await acquire(dead);
	t.true(lock.reclaimed);
	await lock.release();
});

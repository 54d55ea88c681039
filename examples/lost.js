/** Notices that a held lock is lost. A real server stops serving then. */
import {once} from 'node:events';
import {rmSync} from 'node:fs';
import {acquire} from 'bindlock';

const lock = await acquire('lost.sock');
const lost = once(lock.lostSignal, 'abort');
rmSync('lost.sock.lock'); // as a cleaner of /tmp might
await lost;
console.log(lock.lostSignal.reason.code, lock.held);
await lock.release();

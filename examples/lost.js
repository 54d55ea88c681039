/** Learn that a held lock was lost: stop serving before two do. */
import {once} from 'node:events';
import {rmSync} from 'node:fs';
import {acquire} from 'bindlock';

const lock = await acquire('lost.sock');
const lost = once(lock.lostSignal, 'abort');
rmSync('lost.sock.lock'); // as a careless cleaner might
await lost;
console.log(lock.lostSignal.reason.code, lock.held);
await lock.release();

/** Prints the state of an address without locking it. */
import {once} from 'node:events';
import {createServer} from 'node:net';
import {acquire, inspect} from 'bindlock';

console.log('no server:', (await inspect('inspect.sock')).state);

const lock = await acquire('inspect.sock');
console.log('a lock:', (await inspect('inspect.sock')).state);
await lock.release();

const plain = createServer().listen('inspect.sock');
await once(plain, 'listening');
console.log('a foreign server:', (await inspect('inspect.sock')).state);
plain.close();

/** The state of an address, without taking it or disturbing anybody. */
import {once} from 'node:events';
import {createServer} from 'node:net';
import {acquire, inspect} from 'bindlock';

console.log('nobody:', (await inspect('inspect.sock')).state);

const lock = await acquire('inspect.sock');
console.log('a lock:', (await inspect('inspect.sock')).state);
await lock.release();

const plain = createServer().listen('inspect.sock');
await once(plain, 'listening');
console.log('a server that takes no lock:', (await inspect('inspect.sock')).state);
plain.close();

/** An abstract address: no file, nothing stale, and yet one server at a time, in every version of Node. */
import {createServer} from 'node:net';
import {listen} from 'bindlock';

const name = `\0bindlock-example-${process.pid}`;
const lock = await listen(createServer(), name);
const refused = await listen(createServer(), name).catch(error => error);
console.log(lock.held, refused.code);
await lock.release();

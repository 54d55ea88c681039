/** Refused: who has it, in the error and for programs. */
import {createServer} from 'node:net';
import {BindLockError, listen} from 'bindlock';

const lock = await listen(createServer(), 'refused.sock', {label: 'the first'});
try {
	await listen(createServer(), 'refused.sock');
} catch (error) {
	if (!(error instanceof BindLockError) || error.code !== 'EADDRINUSE') throw error;
	console.log(error.message);
	console.log(`${error.holder?.label}, verified: ${error.holder?.verified}; me: ${error.holder?.pid === process.pid}`);
}
await lock.release();

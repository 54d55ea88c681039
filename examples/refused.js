/** Prints the holder of a taken address, from the error's message and from its properties. */
import {createServer} from 'node:net';
import {BindLockError, listen} from 'bindlock';

const lock = await listen(createServer(), 'refused.sock', {label: 'the first'});
try {
	await listen(createServer(), 'refused.sock');
} catch (error) {
	if (!(error instanceof BindLockError) || error.code !== 'EADDRINUSE') throw error;
	console.log(error.message);
	const {label, verified, pid} = error.holder ?? {};
	console.log(`label: ${label}; verified: ${verified}; this process: ${pid === process.pid}`);
}
await lock.release();

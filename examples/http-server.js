/** Starts an HTTP server, unless the address is taken. It also starts after a crash. */
import {createServer, get} from 'node:http';
import {listen} from 'bindlock';

const server = createServer((_request, response) => response.end('hello'));
const lock = await listen(server, 'http.sock', {label: 'http example'});
console.log('serving');

get({socketPath: 'http.sock'}, async response => {
	for await (const chunk of response) console.log(`a client got: ${chunk}`);
	await lock.release(); // or server.close(): each closes the server and releases the lock
	console.log('closed');
});

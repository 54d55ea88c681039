/** Waits for the holder: with a time limit, until cancelled, and without a limit. */
import {acquire} from 'bindlock';

const first = await acquire('wait.sock');

const late = await acquire('wait.sock', {waitMs: 100}).catch(error => error);
console.log(`${late.code} after 100 ms: ${late.waitedMs >= 100}`);

const controller = new AbortController();
const cancelled = acquire('wait.sock', {
	waitMs: Infinity,
	signal: controller.signal,
	onWait: () => controller.abort(),
});
console.log(await cancelled.catch(error => error.name));

const second = await acquire('wait.sock', {waitMs: Infinity, onWait: () => void first.release()});
console.log(`held by the second: ${second.held}`);
await second.release();

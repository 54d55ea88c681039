/** Wait for a holder to go, for a bounded time, or until somebody changes their mind. */
import {acquire} from 'bindlock';

const first = await acquire('wait.sock');

const late = await acquire('wait.sock', {waitMs: 100}).catch(error => error);
console.log(`${late.code} after 100 ms: ${late.waitedMs >= 100}`);

const changed = new AbortController();
const given = acquire('wait.sock', {waitMs: Infinity, signal: changed.signal, onWait: () => changed.abort()});
console.log(await given.catch(error => error.name));

const second = acquire('wait.sock', {waitMs: Infinity, onWait: () => void first.release()});
console.log(`the next has it: ${(await second).held}`);
await (await second).release();

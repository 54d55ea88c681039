export {acquire} from './acquire.js';
export {BindLockError, type Holder} from './errors.js';
export {type Inspection, inspect} from './inspect.js';
export {listen} from './listen.js';
export type {BindLock} from './lock.js';
export type {AcquireOptions, ListenOptions} from './options.js';

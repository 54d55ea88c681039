export {acquire} from './acquire.js';
export {BindLockError, type BindLockErrorFields, type Holder} from './errors.js';
export {handOver} from './hand-over.js';
export {type Inspection, inspect} from './inspect.js';
export {listen} from './listen.js';
export type {BindLock} from './lock.js';
export type {AcquireOptions, HandOverOptions, ListenOptions, ReplaceOptions} from './options.js';

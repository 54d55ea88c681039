export {acquire} from './api/acquire.js';
export {type Inspection, inspect} from './api/inspect.js';
export {listen} from './api/listen.js';
export type {Successor} from './hand-over/channel.js';
export {handOver} from './hand-over/hand-over.js';
export type {BindLock} from './lock/owned-lock.js';
export {BindLockError, type BindLockErrorCode, type BindLockErrorFields} from './model/errors.js';
export type {Holder} from './model/holder.js';
export type {AcquireOptions, HandOverOptions, ListenOptions, ReplaceOptions} from './model/options.js';

/**
 * The namespaces and the boot of this process: a pid or an inode number means nothing outside of them.
 */
import {linkOrUndefined, readProc} from './procfs.js';

/** Returns the identity of a namespace of this process, such as `net:[4026531840]`; `'unknown'` without /proc. */
export function namespaceOf(kind: 'net' | 'pid'): string {
	return linkOrUndefined(`/proc/self/ns/${kind}`) ?? 'unknown';
}

/** What `namespaceOf('pid')` returns outside of containers: `PROC_PID_INIT_INO` of linux/proc_ns.h. */
export const initialPidNamespace = 'pid:[4026531836]';

/** Returns the id of this boot of this machine; `undefined` without /proc (`proc_sys_kernel(5)`). */
export function bootId(): string | undefined {
	return readProc('/proc/sys/kernel/random/boot_id')?.trim();
}

/**
 * The service manager that supervises this process.
 */
import {show} from '../../model/text.js';
import {variable} from './environment.js';

/** A service manager that hangs must not hold up a hand-over. */
const longestMs = 5000;

/**
 * Tells systemd that another process is the main process of the service now. Does nothing without `NOTIFY_SOCKET`.
 *
 * By systemd-notify(1): Node has no Unix datagram sockets. The unit needs `NotifyAccess=all`, because the message comes
 * from a child of the main process. A failure is a process warning.
 */
export function tellMainPid(pid: number): Promise<void> {
	if (!variable('NOTIFY_SOCKET')) return Promise.resolve();
	const {execFile} = process.getBuiltinModule('node:child_process');
	return new Promise(resolve => {
		execFile('systemd-notify', [`MAINPID=${pid}`], {timeout: longestMs}, error => {
			if (error !== null) {
				process.emitWarning(`systemd does not know that ${pid} is the main process: ${show(error)}`, 'BindLockWarning');
			}
			resolve();
		});
	});
}

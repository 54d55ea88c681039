/**
 * Signals of a process 1, such as the first process of a container.
 */
import {constants} from 'node:os';

const endingSignals = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;

/**
 * Lets signals end this process. The kernel delivers to process 1 of a pid namespace only signals that it has a handler
 * for (pid_namespaces(7)). Other processes need no handler.
 *
 * @returns undoes it
 */
export function endOnSignals(): () => void {
	if (process.pid !== 1) return () => {};
	const end = (signal: NodeJS.Signals): never => process.exit(128 + constants.signals[signal]);
	for (const signal of endingSignals) process.on(signal, end);
	return () => {
		for (const signal of endingSignals) process.off(signal, end);
	};
}

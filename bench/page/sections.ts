/**
 * What the page says of each benchmark: which plots, which tables, and whether a goal is reached, all of it
 * computed from the kept results.
 */
import type {Measurement, Result, Results} from '../harness/results.js';
import {metrics as scaleMetrics} from '../measure/scale.js';
import {metrics as startMetrics, subjects as startSubjects} from '../measure/startup.js';
import {limit, metrics as takeMetrics} from '../measure/take.js';
import {blockedC} from '../measure/takeover.js';
import {roles} from '../measure/waiting.js';
import {type PlotDescription, type Point, short} from './plots.js';
import {goal, grid, medianOf, of, points, ratio, table} from './tables.js';

export interface Section {
	readonly title: string;
	/** What was done, and what to make of it. */
	readonly text: readonly string[];
	readonly plots: readonly PlotDescription[];
	readonly tables: readonly string[];
	readonly result: Result;
}

export function sections(results: Results): Section[] {
	return [
		safety(results.safety),
		take(results.take),
		takeover(results.takeover),
		waiting(results.waiting),
		scale(results.scale),
		startup(results.startup),
	];
}

function safety(result: Result): Section {
	const scenarios = [...new Set(result.counts.map(one => one.scenario))];
	const subjects = [...new Set(result.counts.map(one => one.subject))];
	const wrong = (key: 'double' | 'none' | 'deleted', subject: string): string[] =>
		scenarios.map(scenario => {
			const count = result.counts.find(one => one.subject === subject && one.scenario === scenario);
			return count === undefined ? '–' : `${count[key]} of ${count.rounds}`;
		});
	const tableOf = (title: string, key: 'double' | 'none' | 'deleted'): string =>
		`${title}:\n\n${table(
			['', ...scenarios],
			subjects.map(subject => [subject, ...wrong(key, subject)]),
		)}`;
	const share = (subject: string): Point => {
		const counts = result.counts.filter(one => one.subject === subject);
		const rounds = counts.reduce((sum, one) => sum + one.rounds, 0);
		const percent = (100 * counts.reduce((sum, one) => sum + one.double, 0)) / rounds;
		return {subject, median: percent, low: percent, high: percent};
	};
	return {
		title: 'Safety',
		result,
		text: [
			'Rounds in which the address had two or more live servers, no server, or a live server whose socket file was gone, by the kernel’s table of sockets. Each round has an address of its own and four processes, two of them for the stopped holder. “No server” means none half a second after the holder was gone: a lease ends later, by design.',
		],
		plots: [
			{
				name: 'safety',
				title: 'Rounds with two or more live servers',
				value: 'rounds with two or more live servers, % of all four scenarios',
				logarithmic: false,
				points: subjects.map(share),
			},
		],
		tables: [
			tableOf('Two or more live servers', 'double'),
			tableOf('No server', 'none'),
			tableOf('A live server whose socket file is gone', 'deleted'),
		],
	};
}

function take(result: Result): Section {
	const cycle = (place: string): Measurement[] => of(result, takeMetrics.cycle, place);
	const ours = 'bindlock, addon';
	const goals = ['tmpfs', 'disk'].flatMap(place => [
		goal(
			`within 1.6 times the C loop, on ${place}`,
			ratio(medianOf(cycle(place), ours), medianOf(cycle(place), limit)),
			value => value <= 1.6,
			value => `${short(value)} times`,
		),
		goal(
			`at least 10 times faster than proper-lockfile, on ${place}`,
			ratio(medianOf(cycle(place), 'proper-lockfile'), medianOf(cycle(place), ours)),
			value => value >= 10,
			value => `${short(value)} times`,
		),
		goal(
			`a refusal that names its holder by the kernel’s word within 60 µs, on ${place}`,
			medianOf(of(result, takeMetrics.refused, place), ours),
			value => value <= 60,
			value => `${short(value)} µs`,
		),
	]);
	return {
		title: 'Take and give back',
		result,
		text: [
			'Microseconds to take a free lock and give it back, and to be refused a taken one: the mean of a batch, and over the batches the median and the quartiles. bindlock’s refusal includes finding out from the kernel who holds the lock; that of the others does not. The bare locks neither look for a stale socket nor compare inodes nor write a record.',
			...goals,
		],
		plots: (['cycle', 'refused'] as const).flatMap(what =>
			['tmpfs', 'disk'].map(place => ({
				name: `take-${what}-${place}`,
				title: `${takeMetrics[what]}, ${place}`,
				value: `µs to ${takeMetrics[what]}, ${place}`,
				logarithmic: true,
				points: points(of(result, takeMetrics[what], place)),
			})),
		),
		tables: [
			`Microseconds, the median and the quartiles:\n\n${grid(
				result.measurements,
				Object.values(takeMetrics).flatMap(metric => ['tmpfs', 'disk', 'no file'].map(place => `${metric}, ${place}`)),
				one => `${one.metric}, ${one.place ?? 'no file'}`,
			)}`,
		],
	};
}

function takeover(result: Result): Section {
	const queued = medianOf(result.measurements, 'bindlock, queued by flock(1)');
	return {
		title: 'Take-over',
		result,
		text: [
			`Milliseconds from the SIGKILL of a serving holder to its successor listening, which a client then confirms. The holder’s own teardown by the kernel is in all of them. “${blockedC}” is the limit.`,
			goal(
				'a median under 4 ms',
				queued,
				value => value < 4,
				value => `${short(value)} ms`,
			),
			goal(
				'within 1.5 times the C program',
				ratio(queued, medianOf(result.measurements, blockedC)),
				value => value <= 1.5,
				value => `${short(value)} times`,
			),
		],
		plots: [
			{
				name: 'takeover',
				title: 'SIGKILL of the holder to its successor listening',
				value: 'ms from SIGKILL to listening',
				logarithmic: true,
				points: points(result.measurements),
			},
		],
		tables: [grid(result.measurements, ['ms'], one => one.unit)],
	};
}

function waiting(result: Result): Section {
	const metrics = ['processor time', 'wake-ups', 'memory'] as const;
	const units = {'processor time': 'ms a minute', 'wake-ups': 'a second', memory: 'MiB'} as const;
	return {
		title: 'Waiting and holding',
		result,
		text: [
			'What a process costs that only waits or only holds, with its children (bindlock’s queued waiter has two: a shell and its flock(1)): processor time and voluntary context switches over the same stretch, and private memory at its end. A hundred waiters are in one process. The lease’s heartbeat is what “bindlock, lease” and proper-lockfile do.',
		],
		plots: [
			{role: roles.one, metric: 'wake-ups', name: 'waiting-one-wakeups', least: 0.01},
			{role: roles.hundred, metric: 'processor time', name: 'waiting-hundred-cpu', least: 0.1},
			{role: roles.holder, metric: 'processor time', name: 'waiting-holder-cpu', least: 0.1},
		].map(({role, metric, name, least}) => ({
			name,
			title: `${role}: ${metric}`,
			value: `${role}: ${metric}, ${units[metric as keyof typeof units]} (0 drawn at ${least})`,
			logarithmic: true,
			least,
			points: points(of(result, `${role}: ${metric}`)),
		})),
		tables: Object.values(roles).map(role => {
			const measurements = result.measurements.filter(one => one.metric.startsWith(`${role}: `));
			const columns = metrics.map(metric => `${metric}, ${units[metric]}`);
			const column = ({metric}: Measurement): string => {
				const name = metric.slice(role.length + 2) as keyof typeof units;
				return `${name}, ${units[name]}`;
			};
			return `${role}:\n\n${grid(measurements, columns, column)}`;
		}),
	};
}

function scale(result: Result): Section {
	const curve = (metric: string, name: string, x: string, value: string): PlotDescription => {
		return {name, title: `${metric}, by ${x}`, x, value, logarithmic: true, points: points(of(result, metric))};
	};
	const refusalBeside = (locks: number): number | undefined =>
		medianOf(
			of(result, scaleMetrics.refusal).filter(one => one.x === locks),
			'bindlock',
		);
	const tableOf = (metric: string, x: string): string => {
		const measurements = of(result, metric);
		const steps = [...new Set(measurements.map(one => String(one.x)))];
		return `${metric} (${measurements[0]?.unit ?? ''}), by ${x}:\n\n${grid(measurements, steps, one => String(one.x))}`;
	};
	return {
		title: 'Scale',
		result,
		text: [
			'Addresses held by one process; a refusal, with its holder verified, while another process holds more and more other locks; and waiters on one address that queue by flock(1), whose holder is killed, and each of which gives the address back at once.',
			goal(
				'a refusal does not grow with the locks on the machine: at most 1.1 times as long beside 10,000 as beside one',
				ratio(refusalBeside(10_000), refusalBeside(1)),
				value => value <= 1.1,
				value => `${short(value)} times`,
			),
		],
		plots: [
			curve(scaleMetrics.take, 'scale-addresses', 'addresses held by one process', 'µs to take one more'),
			curve(scaleMetrics.refusal, 'scale-refusal', 'other locks on the machine', 'µs for a refusal'),
			{
				...curve(scaleMetrics.first, 'scale-waiters', 'waiters on one address', 'ms'),
				points: [scaleMetrics.first, scaleMetrics.each].flatMap(metric =>
					points(of(result, metric)).map(point => ({
						...point,
						subject: metric === scaleMetrics.first ? 'first successor' : 'each hand-over',
					})),
				),
			},
		],
		tables: [
			tableOf(scaleMetrics.take, 'addresses held'),
			tableOf(scaleMetrics.memory, 'addresses held'),
			tableOf(scaleMetrics.refusal, 'other locks'),
			tableOf(scaleMetrics.first, 'waiters'),
			tableOf(scaleMetrics.each, 'waiters'),
		],
	};
}

function startup(result: Result): Section {
	const difference = (metric: string, one: string, other: string): number =>
		(medianOf(of(result, metric), one) ?? Number.NaN) - (medianOf(of(result, metric), other) ?? Number.NaN);
	const {bare, ours, serverListen, listen, run, true: trueCommand} = startSubjects;
	const sentences = [
		`The import adds ${short(difference(startMetrics.process, ours, bare))} ms and ${short(difference(startMetrics.memory, ours, bare))} MiB to a bare Node.`,
		`The first \`listen\` of a process adds ${short(difference(startMetrics.listen, listen, serverListen))} ms to \`server.listen\`, loading the addon included.`,
		`\`bindlock run\` adds ${short(difference(startMetrics.command, run, trueCommand))} ms to a bare command, most of it the start of Node.`,
	];
	return {
		title: 'Start-up',
		result,
		text: [
			'Whole processes, and the first call in a process of its own.',
			sentences.join(' '),
			goal(
				'an import under 5 ms',
				difference(startMetrics.process, ours, bare),
				value => value < 5,
				value => `${short(value)} ms`,
			),
		],
		plots: [startMetrics.process, startMetrics.listen, startMetrics.command].map((metric, index) => ({
			name: `startup-${['process', 'listen', 'command'][index]}`,
			title: metric,
			value: `ms, ${metric}`,
			logarithmic: false,
			points: points(of(result, metric)),
		})),
		tables: [
			grid(
				result.measurements,
				Object.values(startMetrics).map(metric => `${metric}, ${metric === startMetrics.memory ? 'MiB' : 'ms'}`),
				one => `${one.metric}, ${one.unit}`,
			),
		],
	};
}

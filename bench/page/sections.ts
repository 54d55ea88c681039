/**
 * The sections of the page: for each benchmark its text, plots, tables and goals, computed from the stored results.
 */
import type {Count, Measurement, Result, Results} from '../harness/results.js';
import {summarise} from '../harness/statistics.js';
import {plainNode} from '../harness/takers.js';
import {metrics as crowdMetrics, size} from '../measure/crowd.js';
import {metrics as scaleMetrics} from '../measure/scale.js';
import {metrics as startMetrics, subjects as startSubjects} from '../measure/startup.js';
import {metrics as takeMetrics} from '../measure/take.js';
import {blockedC} from '../measure/takeover.js';
import {roles} from '../measure/waiting.js';
import {type Bar, type PlotDescription, short} from './plots.js';
import {goal, grid, medianOf, of, points, ratio, table} from './tables.js';

export interface Section {
	readonly title: string;
	/** The method, and what the figures show. */
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
		crowd(results.crowd),
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
	const shares = (subject: string): Bar[] => {
		const counts = result.counts.filter(one => one.subject === subject);
		const sum = (of: (one: Count) => number): number => counts.reduce((total, one) => total + of(one), 0);
		const parts = {
			'one server': sum(({rounds, double, none}) => rounds - double - none),
			'two or more live': sum(({double}) => double),
			none: sum(({none}) => none),
		};
		const rounds = sum(one => one.rounds);
		return Object.entries(parts).map(([part, number]) => ({subject, part, percent: (100 * number) / rounds}));
	};
	return {
		title: 'Safety',
		result,
		text: [
			'The number of rounds that ended with two or more live servers, with no server, or with a live server whose socket file was gone, according to the kernel’s table of sockets. Each round has its own address and four processes (two for the stopped holder). “No server” means none half a second after the holder was gone; a lease ends later by design.',
		],
		plots: [
			{
				name: 'safety',
				title: 'Rounds that ended with one server, with two or more live servers, or with none',
				value: '% of the rounds of all four scenarios',
				better: 'a longer blue part',
				logarithmic: false,
				points: [],
				bars: subjects.flatMap(shares),
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
	const ours = 'bindlock, addon';
	const againstNode = (metric: string, place: string, most: number): string =>
		goal(
			`to ${metric} in at most ${most} times the time of plain Node, on ${place}`,
			ratio(medianOf(of(result, metric, place), ours), medianOf(of(result, metric, place), plainNode)),
			value => value <= most,
			value => `${short(value)} times`,
		);
	const goals = ['tmpfs', 'disk'].flatMap(place => [
		againstNode(takeMetrics.cycle, place, 1.4),
		againstNode(takeMetrics.refused, place, 2),
	]);
	return {
		title: 'Take and give back',
		result,
		text: [
			'The time to take a free lock and release it, and the time to be refused a lock that is held. Each value is the mean of a batch. “Plain Node” and “C” make the very system calls of bindlock, and nothing else: for a refusal, too, which includes finding the holder in /proc. The bare locks do not look for a stale socket, compare inodes or write a record.',
			...goals,
		],
		plots: (['cycle', 'refused'] as const).flatMap(what =>
			['tmpfs', 'disk'].map(place => ({
				name: `take-${what}-${place}`,
				title: `${takeMetrics[what]}, ${place}`,
				better: 'shorter' as const,
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
			`The time from the SIGKILL of a serving holder until its successor listens. A client then confirms that the successor serves. All figures include the kernel’s teardown of the holder. “${blockedC}” is the limit.`,
			'bindlock does not warm up its code while it waits, so V8 compiles the take-over when it first runs. An earlier version did, by binding a pretended server in the process of its user. In three series of 12 take-overs of each by turns, the medians were 14 to 15 ms with the warm-up and 20 to 24 ms without.',
			goal(
				'within 1.2 times the C program',
				ratio(queued, medianOf(result.measurements, blockedC)),
				value => value <= 1.2,
				value => `${short(value)} times`,
			),
		],
		plots: [
			{
				name: 'takeover',
				title: 'SIGKILL of the holder to its successor listening',
				value: 'ms from SIGKILL to listening',
				better: 'shorter',
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
			'The cost of a process that only waits or only holds, including its children: processor time, voluntary context switches (wake-ups), and private memory at the end. A queued waiter of bindlock has two children, a shell and flock(1). A hundred waiters are in one process. The holder of an abstract name keeps the connections of 64 waiters only, so of its hundred and one some connect again now and then; fewer of them never wake up. “bindlock, lease” and proper-lockfile renew their lease by a timer.',
		],
		plots: [
			{role: roles.one, metric: 'wake-ups', name: 'waiting-one-wakeups', least: 0.01},
			{role: roles.hundred, metric: 'processor time', name: 'waiting-hundred-cpu', least: 0.1},
			{role: roles.holder, metric: 'processor time', name: 'waiting-holder-cpu', least: 0.1},
		].map(({role, metric, name, least}) => ({
			name,
			title: `${role}: ${metric}`,
			better: 'smaller' as const,
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
		return {
			name,
			title: `${metric}, by ${x}`,
			x,
			value,
			better: 'shorter',
			logarithmic: true,
			points: points(of(result, metric)),
		};
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
			'Three measurements with a growing number: the addresses that one process holds; a refusal with a verified holder, while another process holds other locks; and the waiters that queue on one address by flock(1). In the third, the holder is killed, and each waiter releases the address as soon as it gets it.',
			goal(
				'a refusal beside 10,000 other locks takes at most 1.1 times as long as beside one',
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

function crowd(result: Result): Section {
	const {processes, sockets, locks} = size;
	const block = of(result, crowdMetrics.block);
	const longest = Math.max(...block.map(({values}) => summarise(values).median));
	return {
		title: 'Crowd',
		result,
		text: [
			`The same calls on a machine with ${count(processes)} more processes, ${count(sockets)} listening sockets whose last path component is the same, and ${count(locks)} locked files. Besides the time, the longest time in which the event loop of the calling process could do nothing else: servers acquire addresses while they serve others. “A foreign server” has a name of its own, “one of the ${count(sockets)}” does not.`,
			goal(
				'the event loop is blocked for at most 10 ms, in the median of each call',
				longest,
				value => value <= 10,
				value => `${short(value)} ms`,
			),
		],
		plots: [
			{
				name: 'crowd-block',
				title: 'Longest block of the event loop on a crowded machine',
				value: 'ms',
				better: 'shorter',
				logarithmic: true,
				points: points(block),
			},
		],
		tables: [
			grid(
				result.measurements,
				Object.values(crowdMetrics).map(metric => `${metric}, ms`),
				one => `${one.metric}, ms`,
			),
		],
	};
}

const count = (value: number): string => value.toLocaleString('en');

function startup(result: Result): Section {
	const difference = (metric: string, one: string, other: string): number =>
		(medianOf(of(result, metric), one) ?? Number.NaN) - (medianOf(of(result, metric), other) ?? Number.NaN);
	const {bare, ours, serverListen, listen, run, true: trueCommand} = startSubjects;
	const sentences = [
		`The import adds ${short(difference(startMetrics.process, ours, bare))} ms and ${short(difference(startMetrics.memory, ours, bare))} MiB to a bare Node.`,
		`The first \`listen\` of a process takes ${short(difference(startMetrics.listen, listen, serverListen))} ms longer than \`server.listen\`. This includes loading the addon.`,
		`\`bindlock run\` adds ${short(difference(startMetrics.command, run, trueCommand))} ms to a bare command. Most of that is the start of Node.`,
	];
	return {
		title: 'Start-up',
		result,
		text: [
			'The time of whole processes, and of the first call in a new process.',
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
			better: 'shorter' as const,
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

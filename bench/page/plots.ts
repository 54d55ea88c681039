/**
 * The plots of the page, one SVG file each. Each has colours for light and dark pages, because Markdown shows it as an
 * image, which inherits no colours.
 */
import {createHash} from 'node:crypto';
import {load} from '../harness/load.js';

/** A median with its quartiles. */
export interface Point {
	readonly subject: string;
	readonly x?: number;
	readonly median: number;
	readonly low: number;
	readonly high: number;
}

/** A part of the bar of a subject. */
export interface Bar {
	readonly subject: string;
	readonly part: string;
	readonly percent: number;
}

export interface PlotDescription {
	readonly name: string;
	readonly title: string;
	/** Label of the value axis, with the unit. */
	readonly value: string;
	readonly x?: string;
	/** What is better, for the line above the plot. */
	readonly better: 'shorter' | 'smaller' | 'a longer blue part';
	readonly logarithmic: boolean;
	readonly points: readonly Point[];
	/** Stacked bars instead of points: the share of each part, in percent. */
	readonly bars?: readonly Bar[];
	/** Smaller values, including 0, are drawn at this value on a logarithmic axis. */
	readonly least?: number;
}

type Mark = object;

interface PlotModule {
	plot(options: object): {readonly outerHTML: string};
	dot(data: unknown, options: object): Mark;
	line(data: unknown, options: object): Mark;
	link(data: unknown, options: object): Mark;
	text(data: unknown, options: object): Mark;
	barX(data: unknown, options: object): Mark;
	gridX(options: object): Mark;
	gridY(options: object): Mark;
	selectLast(options: object): object;
}

/** Distinguishable with colour blindness, on white and on black (after Okabe and Ito). */
const colours = ['#2f81d6', '#d9622b', '#1a9e76', '#c2689a', '#a77c10', '#8a6fdf'];

/** What is right, and two kinds of wrong. */
const partColours = ['#2f81d6', '#d9622b', '#8b949e'];

/** Returns a hash of the plot's data. The SVG contains it, so a test can find a plot that is older than the results. */
export function digest(description: PlotDescription): string {
	return createHash('sha256').update(JSON.stringify(description)).digest('hex').slice(0, 16);
}

export async function draw(description: PlotDescription): Promise<string> {
	const Plot = await load<PlotModule>('@observablehq/plot');
	const {parseHTML} = await load<{parseHTML(html: string): {document: object}}>('linkedom');
	const {document} = parseHTML('<html></html>');
	const drawn = Plot.plot({...optionsOf(Plot, description), document, width, style: {fontSize: '13px'}}).outerHTML;
	return finish(drawn, description);
}

/** Narrow, so that the text is still readable on the screen of a phone, which shows the plot smaller. */
const width = 500;

function optionsOf(Plot: PlotModule, description: PlotDescription): object {
	if (description.bars !== undefined) return stacks(Plot, description.bars);
	return description.x === undefined ? rows(Plot, description) : curves(Plot, description);
}

/** Returns one stacked bar for each subject. */
function stacks(Plot: PlotModule, bars: readonly Bar[]): object {
	const subjects = [...new Set(bars.map(({subject}) => subject))];
	const parts = [...new Set(bars.map(({part}) => part))];
	return {
		height: 80 + 26 * subjects.length,
		marginTop: 48,
		marginBottom: 20,
		marginLeft: 200,
		marginRight: 30,
		x: {label: null, ticks: [0, 50, 100], tickFormat: (value: number) => `${value} %`},
		y: {domain: subjects, label: null},
		color: {domain: parts, range: partColours},
		marks: [Plot.barX(bars, {x: 'percent', y: 'subject', fill: 'part', order: parts})],
	};
}

/** Returns one line for each subject, with its median and quartiles. */
function rows(Plot: PlotModule, {points, value, logarithmic, least = 0.1}: PlotDescription): object {
	const shown = points.map(one => ({...one, at: logarithmic ? Math.max(one.median, least) : one.median}));
	const end = (bound: number): number => (logarithmic ? Math.max(bound, least) : bound);
	const colour = (one: Point): string => (one.subject.startsWith('bindlock') ? colours[0] : colours[1]) as string;
	return {
		height: 100 + 26 * points.length,
		marginTop: 40,
		marginBottom: 45,
		marginLeft: 215,
		marginRight: 60,
		x: {
			type: logarithmic ? 'log' : 'linear',
			label: `${value} →`,
			grid: true,
			ticks: 4,
			zero: !logarithmic,
			nice: true,
			tickFormat: short,
		},
		y: {domain: points.map(one => one.subject), label: null},
		marks: [
			Plot.link(shown, {
				x1: (one: Point) => end(one.low),
				x2: (one: Point) => end(one.high),
				y: 'subject',
				stroke: colour,
				strokeWidth: 4,
				strokeOpacity: 0.45,
			}),
			Plot.dot(shown, {x: 'at', y: 'subject', fill: colour, r: 5}),
			Plot.text(shown, {
				x: (one: Point) => end(one.high),
				y: 'subject',
				text: (one: Point) => short(one.median),
				textAnchor: 'start',
				dx: 10,
				fill: 'currentColor',
			}),
		],
	};
}

/** Returns one curve through the medians of each subject, with its name at the end. */
function curves(Plot: PlotModule, {points, value, x, better, logarithmic}: PlotDescription): object {
	const subjects = [...new Set(points.map(one => one.subject))];
	const colour = (one: Point): string => colours[subjects.indexOf(one.subject) % colours.length] as string;
	return {
		height: 390,
		marginTop: 35,
		marginLeft: 60,
		marginRight: 130,
		marginBottom: 45,
		x: {type: 'log', label: `${x} →`, grid: true, tickFormat: short},
		y: {
			type: logarithmic ? 'log' : 'linear',
			label: `↑ ${value}; ${better} is better`,
			grid: true,
			zero: !logarithmic,
			nice: true,
			tickFormat: short,
		},
		marks: [
			Plot.link(points, {x: 'x', y1: 'low', y2: 'high', stroke: colour, strokeWidth: 4, strokeOpacity: 0.35}),
			Plot.line(points, {x: 'x', y: 'median', stroke: colour, z: 'subject', strokeWidth: 2}),
			Plot.dot(points, {x: 'x', y: 'median', fill: colour, r: 4}),
			Plot.text(
				points,
				Plot.selectLast({
					x: 'x',
					y: 'median',
					z: 'subject',
					text: 'subject',
					fill: colour,
					textAnchor: 'start',
					dx: 10,
				}),
			),
		],
	};
}

export function short(value: number): string {
	if (value >= 1000) return value.toLocaleString('en', {maximumFractionDigits: 0});
	return String(Number(value.toPrecision(3)));
}

/** Makes the SVG a complete file: namespace, title for screen readers, background, and light and dark colours. */
function finish(drawn: string, description: PlotDescription): string {
	const style =
		'<style>svg{color:#1f2328;background:#fff}@media(prefers-color-scheme:dark){svg{color:#e6edf3;background:#0d1117}}</style>';
	const title = `<title>${escaped(description.title)}</title><desc>${digest(description)}</desc>`;
	const caption = `<text x="8" y="18" text-anchor="start" fill="currentColor" font-weight="bold">${escaped(captionOf(description))}</text>${legend(description)}`;
	return `${drawn
		.replace(/plot-[0-9a-f]{6}/g, 'plot')
		.replace('--plot-background: white;', '')
		.replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ')
		.replace(/(<svg[^>]*>)/, `$1${title}${style}${caption}`)}\n`;
}

/** A plot of curves has it in the label of its axis. */
function captionOf({better, x}: PlotDescription): string {
	return x === undefined ? `${better} is better` : '';
}

/** The names of the parts, in their colours. */
function legend({bars = []}: PlotDescription): string {
	const parts = [...new Set(bars.map(({part}) => part))];
	const spans = parts.map((part, index) => `<tspan fill="${partColours[index]}">■ ${escaped(part)}\u2003</tspan>`);
	return parts.length === 0 ? '' : `<text x="8" y="38" text-anchor="start">${spans.join('')}</text>`;
}

function escaped(text: string): string {
	return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

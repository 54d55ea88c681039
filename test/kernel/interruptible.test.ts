/**
 * Tests that long lookups let other work of the process come first, and that short ones are synchronous.
 */
import test from 'ava';
import {atOnce, blocking, type Interruptible, inPieces} from '../../src/kernel/interruptible.js';

/** Takes about a millisecond a step. */
function* busy(steps: number): Interruptible<number> {
	for (let step = 0; step < steps; step++) {
		const end = performance.now() + 1;
		while (performance.now() < end);
		yield;
	}
	return steps;
}

function* quick(): Interruptible<string> {
	yield;
	return 'found';
}

test.serial('a short lookup is synchronous', t => {
	t.is(inPieces(quick()), 'found');
});

test.serial('a long lookup is interrupted many times', async t => {
	let others = 0;
	const timer = setInterval(() => others++, 0);
	const result = inPieces(busy(60));
	t.true(result instanceof Promise);
	t.is(await result, 60);
	clearInterval(timer);
	t.true(others >= 5, String(others));
});

test.serial('an error in a later piece rejects', async t => {
	const failing = function* (): Interruptible<never> {
		yield* busy(20);
		throw new Error('no descriptor is left');
	};
	await t.throwsAsync(async () => inPieces(failing()), {message: 'no descriptor is left'});
});

test.serial('what a synchronous caller needs is done at once', t => {
	t.is(atOnce(busy(20)), 20);
	t.is(
		blocking(() => inPieces(busy(20))),
		20,
	);
	t.throws(() => blocking(() => atOnce(busyThenThrow())), {message: 'failed'});
	t.true(inPieces(busy(20)) instanceof Promise, 'the next caller is asynchronous again');
});

function* busyThenThrow(): Interruptible<never> {
	yield* busy(1);
	throw new Error('failed');
}

/**
 * Explores the shipped protocol in every interleaving of the slower scenarios.
 */
import test from 'ava';
import {holds} from './holding.js';
import {slowerScenarios} from './scenarios.js';

for (const name of slowerScenarios) test(name, t => void holds(t, name));

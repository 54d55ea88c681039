/**
 * Tests the reduction of memory.ts on every quick scenario.
 */
import test from 'ava';
import {sameWhenReduced} from './reduction.js';
import {quickScenarios} from './scenarios.js';

for (const name of quickScenarios) test.serial(name, sameWhenReduced, name);

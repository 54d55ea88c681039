/**
 * Tests the less common ways of waiting, and long queues. `wait.test.ts` has the common ways.
 */
import {testWaiting, ways} from '../helpers/ways.js';

for (const way of ways) testWaiting(way, way.title === 'queued by flock(1)' || way.title === 'abstract' ? 100 : 20);

/** The tests are compiled by tsc into build/. In CI the output is TAP, so that it can be counted. */
export default {
	files: ['build/test/**/*.test.js'],
	workerThreads: false,
	timeout: '5m',
	tap: process.env.CI === 'true',
};

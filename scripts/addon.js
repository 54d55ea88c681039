/**
 * Compiles fs-ext before the tests of this repository, if that is possible. As a failing install script of a development
 * dependency it would fail the whole installation; the tests also run without it.
 */
import {spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {env, execPath} from 'node:process';
import {fileURLToPath} from 'node:url';

const addon = fileURLToPath(new URL('../node_modules/fs-ext', import.meta.url));
const {npm_config_node_gyp: nodeGyp} = env;
if (nodeGyp !== undefined && existsSync(addon) && !existsSync(join(addon, 'build/Release/fs_ext.node'))) {
	// The headers of this Node, if they are beside it, so that nothing is downloaded.
	const prefix = dirname(dirname(execPath));
	const headers = existsSync(join(prefix, 'include/node/node.h')) ? {npm_config_nodedir: prefix} : {};
	const {status} = spawnSync(execPath, [nodeGyp, 'rebuild'], {cwd: addon, stdio: 'ignore', env: {...headers, ...env}});
	if (status !== 0) console.error('fs-ext cannot be compiled here, so the tests use flock(1)');
}

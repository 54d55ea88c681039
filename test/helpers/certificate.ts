/**
 * Makes a certificate for one test; see `noOpenssl`.
 */
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {temporaryDirectory} from './programs.js';

export interface Certificate {
	readonly key: string;
	readonly cert: string;
}

export function makeCertificate(t: ExecutionContext): Certificate {
	const directory = temporaryDirectory(t);
	const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
	const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
	const files = ['-keyout', key, '-out', cert];
	execFileSync('openssl', ['req', '-x509', ...kind, ...files, '-days', '2', '-subj', '/CN=localhost'], {stdio: 'pipe'});
	return {key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8')};
}

/**
 * What is told of a command line, in records and in messages: the program and its script. Further arguments may be
 * secret.
 */

/** @param argv a single word is the program, or a title that the process has given itself, and stays as it is */
export function programAndScript([program = '', ...args]: readonly string[]): string {
	const script = scriptOf(program, args);
	const text = script === undefined ? program : `${program} ${script}`;
	return text.length > maxCharacters ? text.slice(0, maxCharacters).toWellFormed() : text;
}

/** A record has to fit into `maxRecordBytes`. */
const maxCharacters = 500;

function scriptOf(program: string, args: readonly string[]): string | undefined {
	const [first = ''] = args;
	const interprets = interpreter.test(program);
	if (isName(first) && (ending.test(first) || (interprets && first.includes('/')))) return first;
	// What other programs have behind options may be the value of one.
	if (!interprets) return undefined;
	const script = args.find((word, index) => !option.test(word) && !takesValue.test(args[index - 1] ?? ''));
	return script !== undefined && isName(script) && ending.test(script) ? script : undefined;
}

/** Neither an option nor code, a URL, an assignment. */
function isName(word: string): boolean {
	return /^[^-:=\s][^:=\s]*$/.test(word);
}

const ending = /\.(?:[cm]?[jt]s|[jt]sx|py|rb|pl|php|sh|lua|jar|exs?)$/;

const interpreter =
	/(?:^|\/)(?:node|nodejs|electron|bun|deno|tsx|ts-node|python|pypy|ruby|perl|php|lua|luajit|java|elixir|(?:ba|da|k|z)?sh)[\d.]*$/;

/** With the subcommand of `bun run` and `deno run`. A `-` alone is standard input. */
const option = /^(?:-.+|run)$/s;

/** Options of interpreters that many use, and whose value is the next word: it may be a script that is not the program's. */
const takesValue =
	/^(?:-r|--require|--import|--loader|--experimental-loader|-C|--conditions|--env-file|-I|-W|-X|-cp|-classpath|--class-path)$/;

/**
 * Command lines in records and messages: the program and its script. Further arguments may be secret.
 */

/**
 * Returns the program and its script.
 *
 * @param argv a single word is a program, or the title that a process has set, and is returned unchanged
 */
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
	// In other programs, a word after an option may be its value.
	if (!interprets) return undefined;
	const script = args.find((word, index) => !option.test(word) && !takesValue.test(args[index - 1] ?? ''));
	return script !== undefined && isName(script) && ending.test(script) ? script : undefined;
}

/** Whether a word can be a file name: no option, code, URL or assignment. */
function isName(word: string): boolean {
	return /^[^-:=\s][^:=\s]*$/.test(word);
}

const ending = /\.(?:[cm]?[jt]s|[jt]sx|py|rb|pl|php|sh|lua|jar|exs?)$/;

const interpreter =
	/(?:^|\/)(?:node|nodejs|electron|bun|deno|tsx|ts-node|python|pypy|ruby|perl|php|lua|luajit|java|elixir|(?:ba|da|k|z)?sh)[\d.]*$/;

/** Includes the subcommand of `bun run` and `deno run`. A lone `-` is standard input. */
const option = /^(?:-.+|run)$/s;

/** Common options of interpreters whose value is the next word, which may be another script. */
const takesValue =
	/^(?:-r|--require|--import|--preload|--loader|--experimental-loader|-C|--conditions|--env-file|-I|-W|-X|-cp|-classpath|--class-path)$/;

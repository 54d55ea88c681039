/**
 * A plugin of TypeDoc for `npm run site`: names pages by their first heading instead of their file, and puts them in
 * reading order.
 */
import {type Application, Converter, type DocumentReflection, ReflectionKind} from 'typedoc';

const startsWith = ['Documentation', 'Tutorial', 'Examples', 'API'];
const endsWith = ['Contributing', 'Security', 'Changelog'];

export function load(app: Application): void {
	app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context: unknown, page: DocumentReflection) => {
		const [first] = page.content;
		const heading = /^# (.+)$/m.exec(first?.kind === 'text' ? first.text : '')?.[1];
		if (heading !== undefined) page.name = heading;
	});
	app.converter.on(Converter.EVENT_RESOLVE_END, ({project}) => {
		for (const module of project.getChildrenByKind(ReflectionKind.Module))
			if (module.name === 'index') module.name = 'API';
		project.childrenIncludingDocuments?.sort((one, other) => rank(one.name) - rank(other.name));
		project.documents?.sort((one, other) => rank(one.name) - rank(other.name));
	});
}

function rank(name: string): number {
	if (startsWith.includes(name)) return startsWith.indexOf(name);
	return startsWith.length + 1 + endsWith.indexOf(name);
}

/**
 * The library for the processes that tests start: bundled, because each would load a hundred modules.
 */

/** Of `bindlock`. */
export const indexUrl: string = new URL('../../library/index.js', import.meta.url).href;

/** Of `bindlock/register`. */
export const registerUrl: string = new URL('../../library/register.js', import.meta.url).href;

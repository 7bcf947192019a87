/**
 * The version of this package, said in one place: `--version`, the user agent and the package all have it from here.
 *
 * @module
 */

/** As in package.json, which a test holds to it: a source file can't read that one from every place it is installed to. */
export const version = "0.1.0"

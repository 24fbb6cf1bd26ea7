/**
 * Is this process an instance of that command? The kernel shows what was executed at last: the interpreter
 * of a script's first line stands in front, npx rewrites its title and starts the package's file, a shell
 * may have given way to its only command. Every rule demands the whole command line; a part of it never
 * matches.
 */
import { basename } from 'node:path'

const INTERPRETER = /^(node|nodejs|bun|deno|python[\d.]*|ruby|perl|sh|bash|dash|zsh)$/i
const SHELL = /^(sh|bash|dash|zsh)$/
/** Options and an interpreter stand in front of a script at most this deep. */
const SCRIPT_AT = 3

/** The path that a word leads to without links, null if there is no such file. */
export type RealPath = (word: string) => string | null

/** True if the process that shows these words was started by this command. */
export function isInstance(
  command: readonly string[],
  words: readonly string[],
  realPath: RealPath,
): boolean {
  const [program = '', ...args] = command
  const [first = '', ...rest] = words
  if (isNamed(first, program, args.length > 0, realPath) && isSame(rest, args)) return true
  if (isScript(program, args, words, realPath)) return true
  const name = basename(program)
  if (name === 'env') return isInstance(withoutVariables(args), words, realPath)
  if (SHELL.test(name)) return isGivenWay(args, words, realPath)
  if (name === 'npx' || name === 'bunx') return isPackage(args, words, realPath)
  if (name === 'uvx') return isSame(words.slice(1), ['tool', 'uvx', ...args]) || isTool(args, words)
  return false
}

/** True if the command is more than a bare interpreter, so that a match says something. */
export function isTelling([program = '', ...args]: readonly string[]): boolean {
  return args.some((word) => !word.startsWith('-')) || !INTERPRETER.test(basename(program))
}

const isSame = (a: readonly string[], b: readonly string[]) =>
  a.length === b.length && a.every((word, index) => word === b[index])

const familyOf = (name: string) => /^(node|python)/i.exec(name)?.[0].toLowerCase()

/** The first word of a process is the program, as a path or as the name that was looked up. */
function isNamed(word: string, program: string, hasArguments: boolean, realPath: RealPath): boolean {
  if (word === program) return true
  const [seen, wanted] = [basename(word), basename(program)]
  // A virtual environment's python calls itself by another path; its arguments tell what it runs.
  if (hasArguments && INTERPRETER.test(wanted) && familyOf(seen) !== undefined) {
    return familyOf(seen) === familyOf(wanted)
  }
  if (seen !== wanted) return false
  return !program.includes('/') || !word.includes('/') || isSameFile(word, program, realPath)
}

function isSameFile(a: string, b: string, realPath: RealPath): boolean {
  const real = realPath(a)
  return a === b || (real !== null && real === realPath(b))
}

/**
 * `node /usr/bin/kb-server args` for `kb-server args`: the interpreter of the first line, then the file
 * itself.
 */
function isScript(program: string, args: readonly string[], words: readonly string[], realPath: RealPath) {
  return scriptPlaces(words).some((place) => {
    const word = words[place]!
    if (!isSame(words.slice(place + 1), args)) return false
    if (program.includes('/')) return isSameFile(word, program, realPath)
    return word.includes('/') && basename(word) === program
  })
}

/** Where the script may stand behind an interpreter. */
function scriptPlaces(words: readonly string[]): number[] {
  if (!INTERPRETER.test(basename(words[0] ?? ''))) return []
  const places: number[] = []
  for (let place = 1; place <= SCRIPT_AT && place < words.length; place++) {
    places.push(place)
    if (!words[place]!.startsWith('-')) break
  }
  return places
}

const withoutVariables = (args: readonly string[]) => {
  const start = args.findIndex((word) => !word.startsWith('-') && !/^\w+=/.test(word))
  return start < 0 ? [] : args.slice(start)
}

/** A shell that was told one plain command is replaced by it. */
function isGivenWay(args: readonly string[], words: readonly string[], realPath: RealPath): boolean {
  const [flag = '', text = ''] = args
  if (args.length !== 2 || !/^-l?c$/.test(flag) || /[|&;<>()$`"'\\*?[\]{}\n]/.test(text)) return false
  const command = text
    .replace(/^\s*exec\s+/, '')
    .trim()
    .split(/\s+/)
  return isInstance(command, words, realPath)
}

/** What npx was told to run: the package, the words behind it, and all that its title shows. */
function packageOf(args: readonly string[]) {
  const rest = [...args]
  let named: string | null = null
  while (rest[0]?.startsWith('-')) {
    const flag = rest.shift()!
    if (flag === '-p' || flag === '--package') named = rest.shift() ?? null
    else if (flag.startsWith('--package=')) named = flag.slice('--package='.length)
  }
  const [first = '', ...behind] = rest
  return { name: (named ?? first).replace(/(?<=.)@[^/]*$/, ''), behind, shown: [first, ...behind].join(' ') }
}

function isPackage(args: readonly string[], words: readonly string[], realPath: RealPath): boolean {
  const { name, behind, shown } = packageOf(args)
  if (name === '') return false
  if (words.join(' ').trim() === `npm exec ${shown}`) return true
  return scriptPlaces(words).some((place) => {
    if (!isSame(words.slice(place + 1), behind)) return false
    return realPath(words[place]!)?.includes(`/node_modules/${name}/`) === true
  })
}

/** `python …/bin/mcp-server-git args` for `uvx mcp-server-git args`. */
function isTool(args: readonly string[], words: readonly string[]): boolean {
  const rest = [...args]
  while (rest[0]?.startsWith('-')) if (/^(--from|--with|-p|--python)$/.test(rest.shift()!)) rest.shift()
  const [name = '', ...behind] = rest
  const tool = name.replace(/@.*$/, '')
  return scriptPlaces(words).some(
    (place) =>
      basename(words[place]!) === tool &&
      /\buv\b/.test(words[place]!) &&
      isSame(words.slice(place + 1), behind),
  )
}

/**
 * Which files a command runs besides its program: the script of an interpreter, and what a program such as `env`
 * starts in its place. Found by the option rules of each interpreter, since every other word of a command is data: a
 * file that it reads may change at any time without the program being another one.
 */
import { basename } from 'node:path'

/** What a command runs. Paths and names as they stand in it. */
export type Ran = {
  /** Programs that it names after its first word. */
  readonly programs: readonly string[]
  readonly script: string | null
  /** The folder that its words are relative to, where the command itself names one. */
  readonly folder: string | null
}

/** How an interpreter reads its arguments up to the script. */
type Rules = {
  /** Options whose value is the next word. */
  readonly takesNext?: RegExp
  /** Options after which there is no script file: the program text is in the command, or is looked up by name. */
  readonly noScript?: RegExp
  /** Options whose value is the script. */
  readonly script?: RegExp
  /** Options whose next word is the folder to work in. */
  readonly folder?: RegExp
  /** Words that may stand before the script. */
  readonly verbs?: readonly string[]
  /** What a script must look like where other words are commands. */
  readonly looks?: RegExp
}

const NODE: Rules = {
  noScript: /^(-[ecpvhi]|-pe|--(eval|print|run|check|version|help|interactive|build-sea))(=|$)/,
  takesNext: new RegExp(
    `^(-[rC]|--(${[
      'require|import|loader|experimental-loader|conditions|env-file|env-file-if-exists|title|input-type',
      'disable-warning|disable-proto|unhandled-rejections|dns-result-order|watch-path|watch-kill-signal|tsconfig',
      'max-http-header-size|max-old-space-size-percentage|stack-trace-limit|secure-heap|secure-heap-min',
      'diagnostic-dir|redirect-warnings|report-(dir|directory|filename|signal)|heapsnapshot-(signal|near-heap-limit)',
      '(cpu|heap)-prof-(dir|interval|name)|icu-data-dir|openssl-config|localstorage-file|snapshot-blob',
      'allow-fs-(read|write)|trace-event-(categories|file-pattern)|trace-require-module|tls-(cipher-list|keylog)',
      'v8-pool-size|use-largepages|experimental-config-file|network-family-autoselection-attempt-timeout',
    ].join('|')}))$`,
  ),
}
const SHELL: Rules = {
  noScript: /^-[a-zA-Z]*[cs]/,
  takesNext: /^([-+][a-zA-Z]*[oO]|--(rcfile|init-file))$/,
}
/** By the name of the program; the version at its end does not count. */
const INTERPRETERS: readonly (readonly [RegExp, Rules])[] = [
  [/^(sh|bash|dash|zsh|ksh|mksh|ash)$/, SHELL],
  [
    /^(python|pypy)$/,
    {
      noScript: /^-[bBdEhiIOPqRsSuvVx]*[cm]/,
      takesNext: /^(-[bBdEiIOPqRsSuvx]*[WX]|--check-hash-based-pycs)$/,
    },
  ],
  [/^(node|nodejs)$/, NODE],
  [/^tsx$/, { ...NODE, verbs: ['watch'] }],
  [/^ruby$/, { noScript: /^-[acdhilnpsSvwWy]*e/, takesNext: /^-[acdlnpsvw]*[IrE]$/, folder: /^-C$/ }],
  [/^perl$/, { noScript: /^-[acfhlnpsStTuUvwWX]*[eE]/, takesNext: /^-[acflnpstTuUwWX]*I$/ }],
  [
    /^deno$/,
    {
      takesNext:
        /^(-[cL]|--(config|import-map|log-level|cert|location|seed|port|host|preload|env-file|ext))$/,
      verbs: ['run', 'serve'],
      looks: /[./]/,
    },
  ],
  [
    /^bun$/,
    {
      noScript: /^(-[ep]|--(eval|print))(=|$)/,
      takesNext: /^(-[rc]|--(preload|require|import|config|env-file|conditions|port|tsconfig-override))$/,
      folder: /^--cwd$/,
      verbs: ['run'],
      looks: /[./]/,
    },
  ],
  [
    /^java$/,
    { takesNext: /^(-cp|-classpath|--class-path|-p|--module-path|--add-modules)$/, script: /^-jar$/ },
  ],
]
/** Programs that run the command which follows their own options. */
const WRAPPERS: readonly (readonly [RegExp, Rules])[] = [
  [/^env$/, { takesNext: /^(-u|--unset)$/, folder: /^(-C|--chdir)$/ }],
  [/^(nohup|setsid)$/, {}],
  [/^nice$/, { takesNext: /^(-n|--adjustment)$/ }],
  [/^stdbuf$/, { takesNext: /^-[ioe]$/ }],
  [/^caffeinate$/, { takesNext: /^-[tw]$/ }],
]
const UV: Rules = {
  noScript: /^(-m|--module)$/,
  script: /^(-s|--script)$/,
  folder: /^--directory$/,
  takesNext: new RegExp(
    `^(-[pwCfi]|--(${[
      'python|with|with-editable|with-requirements|project|package|extra|no-extra|group|no-group|only-group|env-file',
      'index|default-index|index-url|extra-index-url|find-links|refresh-package|link-mode|resolution|prerelease',
      'exclude-newer|cache-dir|config-file|color',
    ].join('|')}))$`,
  ),
}

/** What a command runs besides its first word. */
export function ranBy([program = '', ...args]: readonly string[]): Ran {
  const name = basename(program).replace(/(?<=[a-z])[-\d.]+$/, '')
  if (name === 'uv') return ranByUv(args)
  const wrapper = WRAPPERS.find(([names]) => names.test(name))?.[1]
  if (wrapper) return ranBehind(args, wrapper)
  const rules = INTERPRETERS.find(([names]) => names.test(name))?.[1]
  if (!rules) return { programs: [], script: null, folder: null }
  const { found, folder } = firstOperand(args, rules)
  const isScript = found !== null && (rules.looks === undefined || rules.looks.test(found.word))
  return { programs: [], script: isScript ? found.word : null, folder }
}

/** `uv run` starts a script of Python, or a command. */
function ranByUv(args: readonly string[]): Ran {
  const verb = firstOperand(args, UV)
  if (verb.found?.word !== 'run') return { programs: [], script: null, folder: null }
  const rest = args.slice(verb.found.at + 1)
  const { found, folder } = firstOperand(rest, UV)
  const place = folder ?? verb.folder
  if (found === null) return { programs: [], script: null, folder: place }
  if (found.isScript || found.word.endsWith('.py')) return { programs: [], script: found.word, folder: place }
  return within(place, ranBehind(rest.slice(found.at), {}))
}

function ranBehind(args: readonly string[], rules: Rules): Ran {
  const { found, folder } = firstOperand(args, rules)
  const rest = found === null ? [] : args.slice(found.at)
  const start = rest.findIndex((word) => !/^[A-Za-z_]\w*=/.test(word))
  const program = rest[start]
  if (program === undefined) return { programs: [], script: null, folder }
  const inner = ranBy(rest.slice(start))
  return within(folder, { ...inner, programs: [program, ...inner.programs] })
}

const within = (folder: string | null, ran: Ran): Ran => ({ ...ran, folder: ran.folder ?? folder })

type Operand = { readonly word: string; readonly at: number; readonly isScript: boolean }

/** The first word that is neither an option, nor the value of one, nor a verb. */
function firstOperand(
  args: readonly string[],
  rules: Rules,
): { found: Operand | null; folder: string | null } {
  let folder: string | null = null
  let verbs = rules.verbs ?? []
  const operand = (at: number, isScript: boolean) => {
    const word = args[at]
    return { found: word === undefined ? null : { word, at, isScript }, folder }
  }
  for (let at = 0; at < args.length; at++) {
    const word = args[at]!
    if (word === '--') return operand(at + 1, false)
    if (word === '-' || rules.noScript?.test(word)) return { found: null, folder }
    if (rules.script?.test(word)) return operand(at + 1, true)
    if (rules.folder?.test(word)) folder = args[++at] ?? null
    else if (rules.takesNext?.test(word)) at++
    else if (verbs.includes(word)) verbs = []
    else if (!/^[-+]/.test(word)) return operand(at, false)
  }
  return { found: null, folder }
}

/** `paios completion`: scripts made from the register, so they never lag behind it. */
import { PaiosError } from '../errors.ts'
import { type Command, GLOBAL_FLAGS, type Register } from './command.ts'

const SHELLS = ['bash', 'zsh', 'fish'] as const

/** Prints a completion script. */
export const command: Command = {
  usage: 'completion bash|zsh|fish',
  about: 'Prints a script that completes the commands and flags of paios in a shell.',
  flags: {},
  operands: { min: 1, max: 1 },
  examples: [
    ['source <(paios completion bash)', 'in ~/.bashrc'],
    ['source <(paios completion zsh)', 'in ~/.zshrc, after compinit'],
    ['paios completion fish > ~/.config/fish/completions/paios.fish', 'for fish'],
  ],
  run: async ({ operands, out, register }) => {
    const shell = SHELLS.find((known) => known === operands[0])
    if (shell === undefined) throw new PaiosError('usage', `'${operands[0]}' is none of ${SHELLS.join(', ')}`)
    out({ bash, zsh, fish }[shell](await wordsOf(register)))
    return 0
  },
}

type CommandWords = {
  readonly name: string
  readonly summary: string
  readonly flags: readonly { readonly name: string; readonly help: string; readonly takesValue: boolean }[]
}

async function wordsOf(register: Register): Promise<CommandWords[]> {
  return Promise.all(
    Object.entries(register).map(async ([name, { summary, load }]) => {
      const flags = { ...(await load()).command.flags, ...GLOBAL_FLAGS }
      const words = Object.entries(flags).map(([flag, { help, value }]) => ({
        name: flag,
        help,
        takesValue: value !== null,
      }))
      return { name, summary, flags: words }
    }),
  )
}

function bash(commands: readonly CommandWords[]): string {
  const names = commands.map(({ name }) => name).join(' ')
  const cases = commands.map(
    ({ name, flags }) => `    ${name}) words='${flags.map((flag) => `--${flag.name}`).join(' ')}' ;;`,
  )
  return `# bash completion for paios
_paios() {
  local command='' word words
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) command=$word; break ;; esac
  done
  case $command in
    '') words='${names}' ;;
${cases.join('\n')}
    *) words='' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _paios paios
`
}

function zsh(commands: readonly CommandWords[]): string {
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
  const names = commands.map(({ name, summary }) => `    ${quote(`${name}:${summary}`)}`)
  const cases = commands.map(({ name, flags }) => {
    const words = flags.map((flag) => quote(`--${flag.name}:${flag.help.replaceAll(':', '\\:')}`))
    return `    ${name}) flags=(${words.join(' ')}) ;;`
  })
  return `#compdef paios
_paios() {
  local -a commands flags
  commands=(
${names.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
    return
  fi
  local command=\${words[2]}
  case $command in
${cases.join('\n')}
  esac
  _describe 'flag' flags
}
compdef _paios paios
`
}

function fish(commands: readonly CommandWords[]): string {
  const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  const lines = ['# fish completion for paios', 'complete -c paios -f']
  for (const { name, summary, flags } of commands) {
    lines.push(`complete -c paios -n __fish_use_subcommand -a ${name} -d ${quote(summary)}`)
    for (const flag of flags) {
      const value = flag.takesValue ? ' -x' : ''
      lines.push(
        `complete -c paios -n '__fish_seen_subcommand_from ${name}' -l ${flag.name}${value} -d ${quote(flag.help)}`,
      )
    }
  }
  return `${lines.join('\n')}\n`
}

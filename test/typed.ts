/** What a page tells people to type: `paios …` in its code, word by word, held against the command line. */
import assert from 'node:assert/strict'
import { parseWords } from '../supervisor/cli/command.ts'
import { commands } from '../supervisor/cli/paios.ts'
import { RULE_NAMES } from '../supervisor/document/runbook.ts'

/** What follows `paios` in the code of a page: lines of `sh` blocks, and what stands in backticks. */
export function typed(body: string): string[] {
  const blocks = [...body.matchAll(/^ *```sh\n([\s\S]*?)^ *```/gm)].flatMap((match) =>
    (match[1] ?? '').replaceAll('\\\n', ' ').split('\n'),
  )
  const inline = [...body.replace(/^ *```[\s\S]*?^ *```/gm, '').matchAll(/`([^`\n]+)`/g)].map(
    (match) => match[1] ?? '',
  )
  return [...blocks, ...inline]
    .map((line) => line.replace(/\s+#.*$/, ''))
    .flatMap((line) => line.split(/&&| \| |;|\$\(/))
    .map((part) => part.trim())
    .filter((part) => /^(npx )?paios( |$)/.test(part))
    .map((part) => part.replace(/^(npx )?paios ?/, ''))
}

/** A word that is nobody's name: a placeholder, a span, an id, an instant, a number, a path, a version. */
const VALUE = /^(…|[A-Z][A-Z_]*|\d+(ms|s|m|h|d)?|i?\d+|\d+\.\d+\.\d+|[~./].*|["'].*|\d{4}-.*)$/

/**
 * Fails unless such a line is one that `paios` takes: the command is there, each flag is, there are as many operands as
 * it takes, and each of them is a word of its usage, a value, a rule, or one of the names that the page speaks of.
 */
export async function mustParse(line: string, names: readonly string[], mayMention = false): Promise<void> {
  // A synopsis has brackets around what may be left out, and bars between what may stand there.
  const plain = line.replace(/\|[^\s\]|]+/g, '').replaceAll(/[[\]]/g, '')
  const words = plain.match(/"[^"]*"|'[^']*'|\S+/g) ?? []
  const [name, ...rest] = words
  if (name === undefined || name === '--help' || name === 'help' || /^[A-Z]+$/.test(name)) return
  assert.ok(Object.hasOwn(commands, name), `there is no paios ${name} (${line})`)
  const { command } = await commands[name]!.load()
  // Prose speaks of a command by its name alone.
  if (mayMention && rest.length === 0) return
  const { operands } = parseWords(
    rest.filter((word) => word !== '…' && word !== 'FLAGS'),
    command,
  )
  const known = new Set([...(command.usage.match(/[a-z]+/g) ?? []), ...names, ...RULE_NAMES])
  for (const operand of operands)
    assert.ok(
      VALUE.test(operand) || known.has(operand),
      `${operand} of paios ${line} is nothing that is known`,
    )
}

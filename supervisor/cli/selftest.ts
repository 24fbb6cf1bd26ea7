/** `paios selftest`. */
import { existsSync } from 'node:fs'
import type { Step } from '../boot/selftest.ts'
import { PaiosError } from '../errors.ts'
import type { Command, Invocation } from './command.ts'
import { paint } from './render.ts'

/** Tries what this paios takes for granted of the machine. */
export const command: Command = {
  usage: 'selftest launchd',
  about:
    'Loads a throwaway job of launchd under a label of its own, with the plist and the sequence of `paios install`,\n' +
    'kills it, replaces it, takes it away, and reports what this Mac did. Neither the mesh nor its job is touched,\n' +
    'and nothing is left. It takes about a minute; macOS may say that a program can run in the background.',
  flags: {},
  operands: { min: 1, max: 1 },
  examples: [
    ['paios selftest launchd', 'before the first paios install on a Mac'],
    ['paios selftest launchd --json', 'to send it to somebody'],
  ],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { home, json, out, operands } = invocation
  if (operands[0] !== 'launchd')
    throw new PaiosError('usage', `'${operands[0]}' cannot be tried: only launchd can`)
  const { initOf } = await import('../boot/init-port.ts')
  if (initOf() !== 'launchd')
    throw new PaiosError('init-unavailable', 'there is no launchd here: it is of macOS')
  if (!existsSync(home))
    throw new PaiosError('no-supervisor', `there is no mesh in ${home}: paios up makes one`)
  const { keepResult, tryLaunchd } = await import('../boot/selftest.ts')
  const steps = await tryLaunchd(home, (step) => (json ? undefined : out(`${shown(step, invocation)}\n`)))
  const isKept = keepResult(home, steps)
  const passed = steps.every(({ result }) => result !== 'fail')
  if (json) out(`${JSON.stringify({ passed, isMac: isKept, steps })}\n`)
  else {
    out(
      passed
        ? 'launchd does here what paios takes for granted\n'
        : 'launchd does other things here than expected\n',
    )
    if (!isKept) out('this was no Mac: it was a model of launchd, which proves nothing about launchd\n')
  }
  return passed ? 0 : 1
}

function shown({ name, result, seen }: Step, invocation: Invocation): string {
  const mark = { pass: paint('ok', 'green', invocation), fail: paint('NO', 'red', invocation), note: '--' }[
    result
  ]
  return `${mark}  ${name}: ${seen}`
}

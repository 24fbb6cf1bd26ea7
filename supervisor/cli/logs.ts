/** `paios logs`. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { nearest, PaiosError } from '../errors.ts'
import type { Command, Invocation } from './command.ts'
import { countOf } from './events.ts'
import { followLog, readLogEnd } from './log-file.ts'
import { sinceMs } from './timestamps.ts'

const DEFAULT_COUNT = 100

/** Shows a service's log from its file, so it works without a supervisor too. */
export const command: Command = {
  usage: 'logs NAME [-f] [-n COUNT] [--since WHEN]',
  about:
    "Shows the end of a service's log, as the service wrote it; `supervisor` is the supervisor's own. Works\n" +
    'without a supervisor, and goes back into what was rotated. --since goes by the times that the lines begin\n' +
    'with; where they have none, by when the supervisor saw the file grow (some seconds too much may be shown).',
  flags: {
    follow: { short: 'f', value: null, help: 'go on until Ctrl-C, through rotations' },
    count: { short: 'n', value: 'COUNT', help: `at most the last COUNT lines (${DEFAULT_COUNT})` },
    since: { value: 'WHEN', help: 'lines of the last 10m, 2h, or since an instant' },
  },
  operands: { min: 1, max: 1 },
  examples: [
    ['paios logs kb -f', 'the last 100 lines, and what comes'],
    ['paios logs gateway --since 10m -n 1000', 'the last ten minutes, at most 1000 lines'],
    ['paios logs supervisor', 'what the supervisor itself has to say'],
  ],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { home, text, out, err, json } = invocation
  const name = invocation.operands[0]!
  if (!/^[a-z0-9][a-z0-9_-]{0,39}$/.test(name))
    throw new PaiosError('usage', `'${name}' is no name of a service`)
  const path = join(home, 'logs', name, 'current.log')
  const since = text('since')
  const from = since === null ? null : await sinceMs(since, Date.now())
  const end = await readLogEnd(path, countOf(invocation, DEFAULT_COUNT), from)
  if (end === null) throw await noLog(home, name)
  if (end.by === 'nothing' && end.lines.length > 0) {
    err(
      `paios: nothing tells when the lines of ${name} were written: these are the last ${end.lines.length}\n`,
    )
  }
  const isFollowing = invocation.has('follow')
  // A line that is not ended yet is shown once, in whole.
  const isOpen = isFollowing && end.lines.length > 0 && end.openBytes > 0
  for (const line of isOpen ? end.lines.slice(0, -1) : end.lines)
    out(json ? `${JSON.stringify({ service: name, line })}\n` : `${line}\n`)
  if (!isFollowing) return 0
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  await followLog(
    path,
    isOpen ? end.end - end.openBytes : end.end,
    json ? jsonLines(name, out) : (bytes) => process.stdout.write(bytes),
    stop.signal,
  )
  return 0
}

/** Turns bytes as they come into one JSON object per whole line. */
function jsonLines(service: string, out: (text: string) => void): (bytes: Uint8Array) => void {
  const decoder = new TextDecoder()
  let rest = ''
  return (bytes) => {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) out(`${JSON.stringify({ service, line })}\n`)
  }
}

async function noLog(home: string, name: string): Promise<PaiosError> {
  const known = await readdir(join(home, 'logs')).catch(() => [])
  const hint = nearest(name, known)
  const rest = hint === null ? 'it has not run here yet' : `did you mean ${hint}?`
  return new PaiosError('unknown-service', `there is no log of '${name}' in ${home} (${rest})`)
}

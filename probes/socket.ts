/** A Unix socket that takes a connection and, where a line is sent, answers with one. */
import { connect } from 'node:net'
import { homedir } from 'node:os'
import { excerpt } from './excerpt.ts'
import { LATE, watchLateness } from './lateness.ts'
import { defineProbe, fail, type ProbeResult, pass, type Schemas, type SettingsOf, unknown } from './probe.ts'

const ANSWER_LIMIT_CHARACTERS = 1024 ** 2

const shape = ({ z, pattern }: Schemas) => ({
  /** A leading `~/` is the home. */
  path: z.string().min(1),
  /** One line to send; without it a connection is enough. */
  send: z
    .string()
    .regex(/^[^\r\n]+$/, 'must be one line')
    .optional(),
  /** What the first line of the answer must match. */
  expect: pattern.optional(),
})
type Settings = SettingsOf<typeof shape>

/** The answer is judged and never shown: it may hold whatever the program knows. */
function judge(answer: string, expect: string | undefined): ProbeResult {
  const line = answer.split('\n', 1)[0] ?? ''
  if (line.trim() === '') return fail('closed without an answer')
  return expect === undefined || new RegExp(expect).test(line)
    ? pass()
    : fail(`the answer does not match ${expect}`)
}

/** One connection; settles with the result, also when the signal aborts. */
function ask(file: string, { send, expect }: Settings, signal: AbortSignal): Promise<ProbeResult | 'late'> {
  const { promise, resolve } = Promise.withResolvers<ProbeResult | 'late'>()
  const socket = connect(file)
  let answer = ''
  const onAbort = () => resolve('late')
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  socket.setEncoding('utf8')
  socket.on('connect', () => (send === undefined ? resolve(pass()) : socket.write(`${send}\n`)))
  socket.on('data', (chunk: string) => {
    answer += chunk
    if (answer.includes('\n')) resolve(judge(answer, expect))
    else if (answer.length > ANSWER_LIMIT_CHARACTERS) resolve(fail('the answer is longer than 1 MiB'))
  })
  socket.on('end', () => resolve(judge(answer, expect)))
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(fail(error.code ?? excerpt(error.message))))
  return promise.finally(() => {
    signal.removeEventListener('abort', onAbort)
    socket.destroy()
  })
}

/** Passes when the socket takes a connection and the answer to the line, if one is sent, is the expected one. */
export const socket = defineProbe('socket', shape, async (settings) => {
  const file = settings.path.replace(/^~\//, `${homedir()}/`)
  return {
    async check(signal) {
      const lateness = watchLateness()
      try {
        const result = await ask(file, settings, signal)
        if (result === 'late') return lateness.isLate() ? unknown(LATE) : fail(`${file}: no answer in time`)
        return result.kind === 'fail' ? fail(`${file}: ${result.reason}`) : result
      } finally {
        lateness.stop()
      }
    },
    close: () => Promise.resolve(),
  }
})

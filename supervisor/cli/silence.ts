/**
 * Notices a supervisor that takes connections and answers nothing: one that somebody has stopped, or whose disk stands
 * still. A request may rightly take minutes, so a small question is asked beside it.
 */
import { connect } from 'node:net'

/** A request waits for so long before anybody asks whether the supervisor answers at all. */
const PATIENCE_MS = 5_000
/** No answer to that for so long is silence. The watchdog leaves a hung supervisor less. */
const SILENT_MS = 35_000

/** Milliseconds: until the first question, and until no answer to one is silence. */
export type SilenceLimits = { readonly patienceMs: number; readonly silentMs: number }
/** Of every command. */
export const SILENCE_LIMITS: SilenceLimits = { patienceMs: PATIENCE_MS, silentMs: SILENT_MS }

/** Calls `silent` once with the seconds that nothing was answered. Returns the way to end the watch. */
export function watchSilence(
  path: string,
  { patienceMs, silentMs }: SilenceLimits,
  silent: (seconds: number) => void,
): () => void {
  let end = (): void => undefined
  const rest = () => {
    const timer = setTimeout(ask, patienceMs)
    end = () => clearTimeout(timer)
  }
  const ask = () => {
    const socket = connect(path)
    const timer = setTimeout(() => {
      end()
      silent(Math.round((patienceMs + silentMs) / 1000))
    }, silentMs)
    end = () => {
      clearTimeout(timer)
      socket.destroy()
    }
    // Whatever comes is an answer; that nobody listens any more, the request itself will say.
    const answered = () => {
      end()
      rest()
    }
    socket.on('connect', () => socket.write('GET /version HTTP/1.0\r\nHost: localhost\r\n\r\n'))
    socket.once('data', answered)
    socket.once('error', answered)
  }
  rest()
  return () => end()
}

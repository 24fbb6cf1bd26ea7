/**
 * One line that a terminal does not show, such as a token. The terminal hands over each key as it is pressed, so what
 * it does for a line by itself is done here: Backspace, Ctrl-U, the end by Enter or Ctrl-D, the end of all by Ctrl-C.
 */
import { PaiosError } from '../errors.ts'

const ESCAPE = '\u001b'
/** What keys of arrows and the like send, and what frames a paste. */
const SEQUENCE = new RegExp(`${ESCAPE}(\\[[0-9;?]*[ -/]*[@-~]|O.|.)?`, 'g')

type Typed = { readonly line: string; readonly end: 'enter' | 'interrupt' | null }

function type(before: string, chunk: string): Typed {
  let line = before
  for (const key of chunk.replaceAll(SEQUENCE, '')) {
    switch (key) {
      case '\r':
      case '\n':
      case '\u0004':
        return { line, end: 'enter' }
      case '\u0003':
        return { line: '', end: 'interrupt' }
      case '\u007f':
      case '\b':
        line = line.slice(0, -1)
        break
      case '\u0015':
      case '\u0017':
        line = ''
        break
      default:
        if (key >= ' ') line += key
    }
  }
  return { line, end: null }
}

/**
 * Asks on the terminal of standard input. Null is Ctrl-C. The terminal is as it was before, whatever the end.
 * Rejects with `usage` where the terminal goes away.
 */
export function readHidden(ask: () => void): Promise<string | null> {
  const { stdin } = process
  return new Promise((resolve, reject) => {
    let line = ''
    const end = () => {
      stdin.off('data', take)
      stdin.off('end', gone)
      stdin.setRawMode(false)
      stdin.pause()
    }
    const gone = () => {
      end()
      reject(new PaiosError('usage', 'the terminal ended without a token'))
    }
    const take = (chunk: string) => {
      const typed = type(line, chunk)
      line = typed.line
      if (typed.end === null) return
      end()
      resolve(typed.end === 'interrupt' ? null : line)
    }
    // Before the question: what is pasted at once is not shown either.
    stdin.setRawMode(true)
    stdin.setEncoding('utf8')
    stdin.on('data', take)
    stdin.once('end', gone)
    stdin.resume()
    ask()
  })
}

/** What the end of a Python program means, by the last line of its traceback. */
import type { ServiceSpecInput } from '../schemas/service.ts'

/**
 * A module that is missing, or code that does not parse, is the same at the next start: fatal. The name of the module
 * comes from the log, where the last line of a traceback is `ModuleNotFoundError: No module named 'x'`.
 */
export const pythonExits: NonNullable<ServiceSpecInput['exits']> = [
  {
    code: 1,
    log: "^ModuleNotFoundError: No module named '([^']+)'",
    class: 'fatal',
    reason: 'the module $1 is not installed in this Python',
  },
  // `python -m x` has no traceback.
  {
    code: 1,
    log: '^\\S*python\\S*: No module named (\\S+)',
    class: 'fatal',
    reason: 'the module $1 is not installed in this Python',
  },
  {
    code: 1,
    log: "^ImportError: cannot import name '([^']+)' from '([^']+)'",
    class: 'fatal',
    reason: 'the module $2 has no $1: its version does not fit',
  },
  { code: 1, log: '^ImportError: (.+)', class: 'fatal', reason: 'an import failed: $1' },
  {
    code: 1,
    log: 'File "([^"]+)", line (\\d+)\\n[\\s\\S]*?^(?:SyntaxError|IndentationError|TabError): (.+)',
    class: 'fatal',
    reason: '$1 line $2 is no valid Python: $3',
  },
  {
    code: 2,
    log: "can't open file '?([^':]+)'?: \\[Errno 2\\]",
    class: 'fatal',
    reason: 'the script $1 does not exist',
  },
  {
    code: 1,
    log: 'OSError: \\[Errno \\d+\\].*[Aa]ddress already in use|error while attempting to bind on address',
    class: 'failure',
    reason: 'its port is held by another program',
  },
  { code: 1, log: '^MemoryError', class: 'failure', reason: 'it has no memory left' },
  {
    code: 1,
    log: '^(\\w+(?:\\.\\w+)*(?:Error|Exception): .+)$(?![\\s\\S]*^Traceback)',
    class: 'failure',
    reason: '$1',
  },
]

/** Which file lies at a path. */
import { statSync } from 'node:fs'

/** Device and number of a file, null if there is none: another text is another file, whatever is in it. */
export function fileIdentity(path: string): string | null {
  const found = statSync(path, { throwIfNoEntry: false })
  return found ? `${found.dev} ${found.ino}` : null
}

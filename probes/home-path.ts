/** Paths as people write them in a document. */
import { homedir } from 'node:os'

/** The path with a leading `~/` as the home of the supervisor's user. */
export function homePath(path: string): string {
  return path === '~' ? homedir() : path.replace(/^~\//, `${homedir()}/`)
}

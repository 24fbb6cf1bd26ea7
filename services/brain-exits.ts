/**
 * What the end of a command means that runs Claude Code or Codex for one turn (`claude -p`, `codex exec`), by the last
 * line that it wrote. Measured with Claude Code 2.1.197 and Codex 0.169.0 and 0.105.0 against a double of the
 * providers; not tried on macOS. Only the last line counts, so that a program which has met and survived such an
 * error is not judged by it.
 */
import type { ServiceSpecInput } from '../schemas/service.ts'

type Exits = NonNullable<ServiceSpecInput['exits']>

/** Nothing but blanks may follow the line. */
const LAST = '.*$(?![\\s\\S]*\\S)'
const ends = (log: string) => ({ code: 1, log: `^.*${log}${LAST}` })

const claude: Exits = [
  {
    ...ends('Not logged in\\b'),
    class: 'fatal',
    reason: 'Claude Code is not logged in: run `claude` and `/login`',
  },
  {
    ...ends('(?:API Error: (40[13])\\b|"api_error_status":(40[13])\\b|Invalid API key)'),
    class: 'fatal',
    reason: 'the provider refuses the login or key of Claude Code: `claude auth login`, or another key',
  },
  {
    ...ends('(?:API Error: 402\\b|"api_error_status":402\\b|Credit balance is too low)'),
    class: 'fatal',
    reason: 'the account of Claude Code has no credit left',
  },
  {
    ...ends('(?:API Error: Request rejected \\(429\\)|"api_error_status":429\\b)'),
    class: 'failure',
    reason: 'the limit of the provider is reached (429)',
  },
  {
    ...ends('(?:API Error: |"api_error_status":)(5\\d\\d)\\b'),
    class: 'failure',
    reason: 'the provider of Claude Code has a fault ($1)',
  },
  {
    ...ends('Unable to connect to API \\((\\w+)\\)'),
    class: 'failure',
    reason: 'no network to the provider of Claude Code ($1)',
  },
  {
    code: 1,
    log: 'configuration file at (\\S+) is corrupted',
    class: 'fatal',
    reason: '$1 was damaged, and Claude Code has put an empty one in its place: bring the good one back',
  },
]

const codex: Exits = [
  {
    code: 1,
    log: '(?:refresh token was already used|Failed to refresh token)',
    class: 'fatal',
    reason: 'the login of Codex was used up by another program: `codex login`',
  },
  {
    ...ends('unexpected status (40[13])\\b'),
    class: 'fatal',
    reason: 'the provider refuses the login or key of Codex ($1): `codex login`, or another key',
  },
  {
    ...ends('unexpected status 402\\b'),
    class: 'fatal',
    reason: 'the account of Codex has no credit left (402)',
  },
  {
    ...ends('last status: 429\\b'),
    class: 'failure',
    reason: 'the limit of the provider is reached (429)',
  },
  {
    ...ends('currently experiencing high demand'),
    class: 'failure',
    reason: 'the provider of Codex has a fault, or too much to do',
  },
  // The place, and not what stands there: it may be a secret.
  {
    code: 1,
    log: 'Error loading config\\.toml:\\s+(\\S+config\\.toml:\\d+:\\d+): ',
    class: 'fatal',
    reason: 'Codex does not take its configuration: $1',
  },
  {
    code: 1,
    log: 'Error loading config\\.toml: .+\\nin `([^`]+)`',
    class: 'fatal',
    reason: 'Codex does not take its configuration: $1 in config.toml',
  },
]

/** The ends of a turn of Claude Code or Codex, in order. */
export const brainExits: Exits = [...claude, ...codex]

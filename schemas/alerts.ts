/** Whom to tell, as people write it: `alerts:` of the mesh document. */
import { z } from 'zod'
import { argv } from './service.ts'

/** A document is kept in the journal and shown to people, so that a token is never part of it. */
const secret = z
  .string()
  .regex(/^\$\{(file|env|json):[^}]+\}$/, 'must be a reference such as ${file:~/.paios/secrets/telegram}')

const LOOPBACK = /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(\/|$)/

const telegram = z
  .strictObject({
    /** The token of a bot of its own. */
    token: secret,
    /** Where to tell: a chat with one person, or a group (a negative number). */
    chat: z.int().refine((id) => id !== 0, { error: 'is not the id of a chat' }),
    /** The ids of the people who may press buttons and give commands; of a chat with one person, that person. */
    allow: z.array(z.int().positive()).min(1).optional(),
    /** Another Bot API server, on this machine or over https. */
    api: z
      .string()
      .refine((url) => LOOPBACK.test(url) || /^https:\/\/[^/]/.test(url), {
        error: 'must be an https URL, or http to this machine',
      })
      .default('https://api.telegram.org'),
    /** Buttons below messages, and commands. Without them nobody asks Telegram for anything. */
    commands: z.boolean().default(true),
  })
  .refine(({ chat, allow, commands }) => chat > 0 || !commands || allow !== undefined, {
    error: 'a group needs allow: the ids of those who may decide, or commands: false',
    path: ['allow'],
  })

const ntfy = z.strictObject({
  /** A topic, such as https://ntfy.sh/some-long-secret-word; a reference keeps it out of the document. */
  url: z.string().regex(/^(https?:\/\/[^/]+\/.|\$\{)/, 'must be the http or https URL of a topic'),
  token: secret.optional(),
})

/** At least one channel. */
export const alerts = z
  .strictObject({
    telegram: telegram.optional(),
    /** Alone it hears of everything; beside Telegram of what is critical and that one cannot tell. */
    ntfy: ntfy.optional(),
    /** A command that reads one JSON object from its stdin for each alert. */
    command: argv.optional(),
    /** False: no notification on this machine's screen where Telegram or ntfy cannot tell what is critical. */
    desktop: z.boolean().optional(),
  })
  .refine(({ telegram, ntfy, command }) => (telegram ?? ntfy ?? command) !== undefined, {
    error: 'needs at least one of telegram, ntfy and command',
  })

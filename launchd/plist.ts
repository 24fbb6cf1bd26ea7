/**
 * The property list of a launchd job, settings in, text out, for the few shapes that ours needs: strings,
 * whole numbers, booleans, lists and dictionaries. Pure; equal settings give equal bytes, since rewriting a
 * plist, even with the same bytes, shows a new notice to the person at the Mac.
 */
import { PaiosError } from '../supervisor/errors.ts'

/** A value of a property list. */
export type PlistValue =
  | string
  | number
  | boolean
  | readonly PlistValue[]
  | { readonly [key: string]: PlistValue }

/** What our job is made of. All paths absolute; `label` is also the name of the file. */
export type JobSettings = {
  readonly label: string
  readonly home: string
  readonly program: string
  readonly bootLog: string
  readonly path: string
  readonly lang: string
  readonly userHome: string
}

/**
 * Our job. ProcessType Interactive, since Background slows the job and everything it starts; ExitTimeOut is
 * stated because launchd gives 5 s and not the 20 of its manual; AbandonProcessGroup keeps it from ending
 * what the supervisor has started; KeepAlive only after a failure, so that `paios down` stays down. Tried
 * against a model of launchd, not on a Mac.
 */
export function launchdJob(settings: JobSettings): { readonly [key: string]: PlistValue } {
  const { label, home, program, bootLog, path, lang, userHome } = settings
  return {
    Label: label,
    ProgramArguments: [program, 'run'],
    RunAtLoad: true,
    KeepAlive: { SuccessfulExit: false },
    ThrottleInterval: 10,
    ExitTimeOut: 45,
    AbandonProcessGroup: true,
    ProcessType: 'Interactive',
    LimitLoadToSessionType: ['Aqua', 'Background'],
    Umask: 63,
    SoftResourceLimits: { NumberOfFiles: 8192 },
    WorkingDirectory: home,
    EnvironmentVariables: { HOME: userHome, LANG: lang, PAIOS_BOOT: 'launchd', PATH: path },
    StandardOutPath: bootLog,
    StandardErrorPath: bootLog,
  }
}

/**
 * The text of a property list. Throws PaiosError `usage` for a control character, which no plist can hold.
 */
export function renderPlist(value: PlistValue): string {
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<plist version="1.0">',
    ...render(value, ''),
    '</plist>',
    '',
  ].join('\n')
}

function render(value: PlistValue, indent: string): string[] {
  if (typeof value === 'string') return [`${indent}<string>${escapeText(value)}</string>`]
  if (typeof value === 'boolean') return [`${indent}<${value}/>`]
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new Error(`${value} is no whole number`)
    return [`${indent}<integer>${value}</integer>`]
  }
  const inner = `${indent}  `
  if (Array.isArray(value)) {
    return [`${indent}<array>`, ...value.flatMap((item) => render(item, inner)), `${indent}</array>`]
  }
  const pairs = Object.entries(value).flatMap(([key, item]) => [
    `${inner}<key>${escapeText(key)}</key>`,
    ...render(item, inner),
  ])
  return [`${indent}<dict>`, ...pairs, `${indent}</dict>`]
}

function escapeText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(text)) {
    throw new PaiosError('usage', `a plist cannot hold a control character: ${JSON.stringify(text)}`)
  }
  // A parser turns a bare carriage return into a newline.
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('\r', '&#13;')
}

/** PATH and LANG in a plist of ours, null where its text has none. */
export function plistEnvironment(text: string): { readonly path: string; readonly lang: string } | null {
  const value = (name: string) => new RegExp(`<key>${name}</key>\\s*<string>([^<]*)</string>`).exec(text)?.[1]
  const [path, lang] = [value('PATH'), value('LANG')]
  return path === undefined || lang === undefined
    ? null
    : { path: unescapeText(path), lang: unescapeText(lang) }
}

const unescapeText = (text: string) =>
  text.replaceAll('&#13;', '\r').replaceAll('&gt;', '>').replaceAll('&lt;', '<').replaceAll('&amp;', '&')

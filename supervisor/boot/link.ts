/** A link for `paios` in a folder of the user's that is on PATH. A file that is not ours is never touched. */
import { accessSync, constants, lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, isAbsolute, join } from 'node:path'
import { fileError } from '../errors.ts'
import type { Place } from './place.ts'

/** `path` null where there is nothing to do; `note` says what people should know, null if nothing. */
export type LinkPlan = {
  readonly path: string | null
  readonly state: 'new' | 'there' | 'foreign'
  readonly note: string | null
}

/** Folders of a user that are for programs, the usual one first. */
const USUAL = ['.local/bin', 'bin']

/**
 * Where the link goes: ~/.local/bin or ~/bin if one is on PATH, else another folder of the user's on PATH.
 */
export function planLink(place: Place, path = process.env['PATH'] ?? '', userHome = homedir()): LinkPlan {
  const onPath = path.split(delimiter).filter((folder) => isAbsolute(folder) && !/node_modules/.test(folder))
  const usual = USUAL.map((folder) => join(userHome, folder)).find((folder) => onPath.includes(folder))
  const other = onPath.find((folder) => folder.startsWith(`${userHome}/`) && isWritable(folder))
  const folder = usual ?? other ?? join(userHome, USUAL[0]!)
  const link = join(folder, 'paios')
  const state = stateOf(link, place.command)
  if (state === 'foreign') {
    return {
      path: null,
      state,
      note: `${link} is another program and was left as it is; ours is ${place.command}`,
    }
  }
  const isOnPath = usual !== undefined || other !== undefined
  const note = isOnPath ? null : `${folder} is not on your PATH: add it in your shell's profile to type paios`
  return { path: link, state, note }
}

/**
 * Makes the link of a plan. Throws home-unwritable. Returns what takes it away again, null if it was there.
 */
export function makeLink(place: Place, { path, state }: LinkPlan): (() => void) | null {
  if (path === null || state !== 'new') return null
  try {
    mkdirSync(join(path, '..'), { recursive: true })
    symlinkSync(place.command, path)
    return () => rmSync(path, { force: true })
  } catch (error) {
    throw fileError(`make the link ${path}`, error)
  }
}

/** Removes the link if it is ours; its path, null if there was none. */
export function removeLink(place: Place, path?: string, userHome?: string): string | null {
  const plan = planLink(place, path, userHome)
  if (plan.path === null || plan.state !== 'there') return null
  rmSync(plan.path)
  return plan.path
}

function stateOf(link: string, target: string): LinkPlan['state'] {
  const stat = lstatSync(link, { throwIfNoEntry: false })
  if (!stat) return 'new'
  return stat.isSymbolicLink() && readlinkSync(link) === target ? 'there' : 'foreign'
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** A runbook that a test writes: whole and valid, with the front matter that the test is about. */
import { SECTIONS } from '../supervisor/document/runbook.ts'

/** The six sections, each with something in it. */
export const SECTION_TEXT = SECTIONS.map((section) => `## ${section}\n\ntext\n`).join('\n')

/** `front`: lines of YAML below those that every runbook has. */
export const runbookText = (id: string, front: string, body = SECTION_TEXT) =>
  `---\nid: ${id}\ntitle: A test\nversion: 1\nreviewed: 2026-11-21\n${front}---\n${body}`

"""What is planned: CareTeam, CarePlan and Goal for long illnesses, and Appointments past and to come."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from medlock.fhir.clinic.analytes import ANALYTES
from medlock.fhir.clinic.chart import Chart, Problem
from medlock.fhir.clinic.people import Person
from medlock.fhir.clinic.staff import location, organisation
from medlock.fhir.clinic.terms import Json, Term, at, hl7, quantity, reference, sct


class Plan(NamedTuple):
    """A plan for one kind of illness: its SNOMED CT category, what is done, and the number aimed at."""

    term: Term
    activities: tuple[Term, ...]
    analyte: str
    below: float
    aim: str


PLANS = {
    "hypertension": Plan(
        sct("443402002", "Lifestyle education regarding hypertension"),
        (sct("386619000", "Low sodium diet"), sct("229065009", "Exercise therapy")),
        "sbp",
        135,
        "Systolic pressure below 135 mmHg at home",
    ),
    "diabetes": Plan(
        sct("698360004", "Diabetes self management plan"),
        (sct("160670007", "Diabetic diet"), sct("229065009", "Exercise therapy")),
        "a1c",
        7.0,
        "Hemoglobin A1c below 7 percent",
    ),
    "asthma": Plan(
        sct("699728000", "Asthma self management"),
        (sct("710818004", "Inhaled steroid therapy"), sct("58332002", "Allergy education")),
        "oxygen",
        0,
        "No night lost to coughing for a month",
    ),
}


def care(chart: Chart, problem: Problem, key: str) -> None:
    """Write the goal, the plan and the team for a problem."""
    plan = PLANS[key]
    goal = chart.add("Goal", _goal(chart, problem, plan))
    team = chart.add("CareTeam", _team(chart, problem))
    chart.add("CarePlan", _care_plan(chart, problem, plan, goal, team))


def _goal(chart: Chart, problem: Problem, plan: Plan) -> Json:
    facts = ANALYTES[plan.analyte]
    target = {"measure": facts.term.concept(), "detailQuantity": quantity(plan.below, facts.unit, facts.ucum)}
    due = {"dueDate": (problem.since + timedelta(days=365)).isoformat()}
    return {
        "lifecycleStatus": "active",
        "achievementStatus": hl7("goal-achievement", chart.chance.pick(("in-progress", "improving", "achieved"))),
        "description": plan.term.concept(text=plan.aim),
        "subject": chart.me,
        "startDate": problem.since.isoformat(),
        **({"target": [target | due]} if plan.below else {}),
        "addresses": [reference(problem.ref)],
    }


def _team(chart: Chart, problem: Problem) -> Json:
    nurse = chart.staff.who(chart.chance, "nurse")
    members: list[Json] = [
        {"role": [_role("446050000", "Primary care provider")], "member": chart.doctor.ref},
        {"role": [_role("224535009", "Registered nurse")], "member": nurse.ref},
        {"role": [_role("116154003", "Patient")], "member": chart.me},
    ]
    return {
        "status": "active",
        "name": f"Care team: {problem.term.display.lower()}",
        "subject": chart.me,
        "period": {"start": problem.since.isoformat()},
        "participant": members,
        "managingOrganization": [organisation("clinic")],
    }


def _role(code: str, display: str) -> Json:
    return sct(code, display).concept()


def _care_plan(chart: Chart, problem: Problem, plan: Plan, goal: str, team: str) -> Json:
    words = f"{plan.term.display}: {', '.join(activity.display.lower() for activity in plan.activities)}."
    return {
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{words}</p></div>'},
        "status": "active",
        "intent": "plan",
        "category": [hl7_plan(), plan.term.concept()],
        "subject": chart.me,
        "period": {"start": problem.since.isoformat()},
        "author": chart.doctor.ref,
        "careTeam": [reference(team)],
        "addresses": [reference(problem.ref)],
        "goal": [reference(goal)],
        "activity": [
            {"detail": {"code": activity.concept(), "status": "in-progress", "location": location("rooms")}}
            for activity in plan.activities
        ],
    }


def hl7_plan() -> Json:
    """The category that US clients look for in a CarePlan."""
    return {"coding": [{"system": "http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "code": "assess-plan"}]}


def appointments(chart: Chart) -> None:
    """Write one or two past appointments that did not happen and, for the living, those to come."""
    chance = chart.chance
    if chance.happens(0.4):
        day = chance.day(chart.since, chart.until)
        status = chance.pick(("noshow", "cancelled"))
        chart.add("Appointment", _appointment(chart, day, status, (chart.person,)))
    if chart.person.died:
        return
    for _ in range(chance.weighted(((0, 3), (1, 5), (2, 2)))):
        day = chart.today + timedelta(days=chance.between(1, 160))
        chart.add("Appointment", _appointment(chart, day, "booked", (chart.person,)))


def together(chart: Chart, other: Person, day: date) -> None:
    """Write an appointment for two patients at once: a parent and a child, or a couple."""
    chart.add("Appointment", _appointment(chart, day, "booked", (chart.person, other)))


def _appointment(chart: Chart, day: date, status: str, people: tuple[Person, ...]) -> Json:
    weekend = max(0, day.weekday() - 4)
    start = at(day + timedelta(days=(0, 2, 1)[weekend]), chart.chance.between(8, 16), chart.chance.pick((0, 20, 40)))
    accepted = "declined" if status == "cancelled" else "accepted"
    patients = [{"actor": reference(person.ref), "status": accepted} for person in people]
    why = {"cancelationReason": hl7("appointment-cancellation-reason", "pat", "Patient")}
    return {
        "status": status,
        **(why if status == "cancelled" else {}),
        "appointmentType": hl7("v2-0276", chart.chance.pick(("ROUTINE", "CHECKUP", "FOLLOWUP"))),
        "description": "Visit at the clinic",
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=20)).isoformat(),
        "minutesDuration": 20,
        "created": at(min(day, chart.until) - timedelta(days=20), 12).isoformat(),
        "participant": [
            *patients,
            {"actor": chart.doctor.ref, "status": "accepted"},
            {"actor": location("rooms"), "status": "accepted"},
        ],
    }

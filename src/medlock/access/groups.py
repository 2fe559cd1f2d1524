"""The resource types of FHIR R4 (4.0.1) by whom they concern: the columns of the table in `access.roles`.

Every type that can be asked for stands in exactly one of RECORD, AUDIT, DIRECTORY, KNOWLEDGE, LOOSE; a type that
stands nowhere can be asked for by nobody. Parameters and OperationOutcome are messages, not records: left out.
"""

from __future__ import annotations


def _types(names: str) -> frozenset[str]:
    """Resource types from their names, blanks between them."""
    return frozenset(names.split())


# The patient compartment (R4 CompartmentDefinition/patient), without the audit log: what one patient's record is
# made of. Device, GuidanceResponse, Task are added: the standard leaves them out, yet each can name its patient.
RECORD = _types(
    """
    Account AdverseEvent AllergyIntolerance Appointment AppointmentResponse Basic BodyStructure CarePlan
    CareTeam ChargeItem Claim ClaimResponse ClinicalImpression Communication CommunicationRequest Composition
    Condition Consent Coverage CoverageEligibilityRequest CoverageEligibilityResponse DetectedIssue Device
    DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest DocumentReference Encounter
    EnrollmentRequest EpisodeOfCare ExplanationOfBenefit FamilyMemberHistory Flag Goal Group GuidanceResponse
    ImagingStudy Immunization ImmunizationEvaluation ImmunizationRecommendation Invoice List MeasureReport Media
    MedicationAdministration MedicationDispense MedicationRequest MedicationStatement MolecularSequence
    NutritionOrder Observation Patient Person Procedure Provenance QuestionnaireResponse RelatedPerson
    RequestGroup ResearchSubject RiskAssessment Schedule ServiceRequest Specimen SupplyDelivery SupplyRequest
    Task VisionPrescription
    """
)

AUDIT = frozenset({"AuditEvent"})

# Shared, tenant-owned: who and what the clinic is made of. They say nothing about any patient.
DIRECTORY = _types(
    """
    Endpoint HealthcareService InsurancePlan Location Medication MedicationKnowledge Organization
    OrganizationAffiliation Practitioner PractitionerRole Slot Substance
    """
)

# Shared as well: definitions, terminology and catalogues.
KNOWLEDGE = _types(
    """
    ActivityDefinition CapabilityStatement CatalogEntry ChargeItemDefinition CodeSystem CompartmentDefinition
    ConceptMap DeviceDefinition EffectEvidenceSynthesis EventDefinition Evidence EvidenceVariable
    ExampleScenario GraphDefinition ImplementationGuide Library Measure MedicinalProduct
    MedicinalProductAuthorization MedicinalProductContraindication MedicinalProductIndication
    MedicinalProductIngredient MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged
    MedicinalProductPharmaceutical MedicinalProductUndesirableEffect MessageDefinition NamingSystem
    ObservationDefinition OperationDefinition PlanDefinition Questionnaire ResearchDefinition
    ResearchElementDefinition RiskEvidenceSynthesis SearchParameter SpecimenDefinition StructureDefinition
    StructureMap SubstanceNucleicAcid SubstancePolymer SubstanceProtein SubstanceReferenceInformation
    SubstanceSourceMaterial SubstanceSpecification TerminologyCapabilities TestReport TestScript ValueSet
    """
)

# No compartment holds these, yet they can carry anything about anybody, so they are not shared with patients.
LOOSE = _types(
    """
    Binary BiologicallyDerivedProduct Bundle Contract DeviceMetric EnrollmentResponse Linkage MessageHeader
    PaymentNotice PaymentReconciliation ResearchStudy Subscription VerificationResult
    """
)

SHARED = DIRECTORY | KNOWLEDGE
ALL_TYPES = RECORD | AUDIT | SHARED | LOOSE

# What a patient says about the own record; a clinician may read it and not write it.
CONSENT = frozenset({"Consent"})

# What a share link can show: the record, but not what the patient decided about it.
SHARED_BY_LINK = RECORD - CONSENT - {"Provenance"}

# What a nurse writes down.
CHARTING = _types(
    """
    CarePlan Communication DeviceUseStatement DocumentReference Flag Goal Immunization MedicationAdministration
    MedicationStatement NutritionOrder Observation Procedure QuestionnaireResponse Specimen Task
    """
)

# What a laboratory is asked, and what it brings.
ORDERS = _types("Patient ServiceRequest")
RESULTS = _types("DiagnosticReport Observation Specimen")

# Accounts, claims and what they are settled with.
ACCOUNTS = _types(
    """
    Account ChargeItem Claim ClaimResponse Coverage CoverageEligibilityRequest CoverageEligibilityResponse
    EnrollmentRequest ExplanationOfBenefit Invoice
    """
)

# Who comes when, and who pays: what the front desk works with.
DEMOGRAPHICS = frozenset({"Appointment", "Coverage", "Patient"})
